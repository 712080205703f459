/**
 * Dials one endpoint: in plain text or with TLS, verified against the name of the endpoint
 * for any of its addresses.
 *
 * Attempts start one after the other until one succeeds, even while earlier ones have no response yet:
 * packets to a host that is gone are never answered, even if another host has taken over its address. The dialer
 * tracks every socket, limits its time to become usable, and closes it at the end.
 */

import type { Socket } from 'node:net';
import { asError } from '../../errors.ts';
import {
  ETCD_CONNECT_TIMEOUT_MS,
  ETCD_REDIAL_MAX_MS,
  ETCD_REDIAL_MIN_MS,
  ETCD_REDIAL_MS,
  ETCD_SPARE_REDIAL_MAX_MS,
  ETCD_USEFUL_CONNECTION_MS,
  MAX_DIAL_ROUNDS,
} from '../../limits.ts';
import { ENDED } from '../../time/abort.ts';
import { Backoff } from '../../time/backoff.ts';
import { handshake } from '../../tls/handshake.ts';
import { hostPort } from '../endpoint-address.ts';
import type { GrpcSession, SecuredSocket } from '../wire/grpc-session.ts';
import type { Credentials } from './credentials.ts';
import type { DialPacing } from './dial-pacing.ts';
import { type Connection, dialRound } from './dial-round.ts';
import type { HostLookup } from './host-lookup.ts';

export interface DialerOptions {
  /** Begins gRPC over a socket; resolves when the server has responded. */
  readonly open: (secured: SecuredSocket) => Promise<GrpcSession>;
  /** Absent for plain text. */
  readonly credentials: Credentials | undefined;
  /** The name that the server's certificate must carry. */
  readonly host: string;
  readonly port: number;
  /** Addresses of `host` that are used instead of DNS. */
  readonly addresses: readonly string[] | undefined;
  readonly lookup: HostLookup;
  readonly skipVerify: boolean;
  readonly strictServerNames: boolean;
  readonly pacing: DialPacing;
  /** False while another endpoint is connected: then this one is dialled rarely. */
  readonly isNeeded: () => boolean;
}

interface Waiter {
  resolve(session: GrpcSession): void;
  reject(error: Error): void;
}

const CLOSED = 'the connection is no longer needed';

export class Dialer {
  readonly #options: DialerOptions;
  readonly #backoff: Backoff;
  /** Attempts in flight. */
  readonly #rounds = new Set<AbortController>();
  /** The wait before the next attempt. */
  #wait = new AbortController();
  #isClosed = false;
  #waiter: Waiter | undefined;
  /** When the last attempt began, and when the next one may. */
  #begunMs = Number.NEGATIVE_INFINITY;
  #dueMs = Number.NEGATIVE_INFINITY;
  /** The next attempt was timed while another endpoint was connected. */
  #isRare = false;
  #connection: Connection | undefined;
  #connectedMs: number | undefined;
  /** `#connection` was established while no connection was requested. */
  #isSpare = false;

  constructor(options: DialerOptions) {
    this.#options = options;
    const maxMs = () => (options.isNeeded() ? ETCD_REDIAL_MAX_MS : ETCD_SPARE_REDIAL_MAX_MS);
    this.#backoff = new Backoff({ minMs: ETCD_REDIAL_MIN_MS, maxMs });
  }

  /** The TCP socket of the last connection. */
  get socket(): Socket | undefined {
    return this.#connection?.socket;
  }

  /**
   * One call at a time. Resolves with the next connection; rejects with the cause as soon as an attempt
   * fails, or after ETCD_CONNECT_TIMEOUT_MS. Attempts in flight continue for the next call.
   */
  async connect(): Promise<GrpcSession> {
    if (this.#isClosed) throw new Error(CLOSED);
    const { clock } = this.#options.pacing;
    const spare = this.#isSpare ? this.#connection : undefined;
    this.#isSpare = false;
    if (spare?.session.isOpen === true) return spare.session;
    const lastedMs = clock.monotonicMs() - (this.#connectedMs ?? Number.POSITIVE_INFINITY);
    if (lastedMs >= ETCD_USEFUL_CONNECTION_MS) this.#backoff.reset();
    this.#connectedMs = undefined;
    const answered = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        this.#waiter = { resolve, reject };
        const { host, port } = this.#options;
        const late = `no answer from ${hostPort(host, port)} within ${ETCD_CONNECT_TIMEOUT_MS} ms`;
        void clock.sleep(ETCD_CONNECT_TIMEOUT_MS, answered.signal).then(
          () => this.#fail(new Error(late)),
          () => undefined,
        );
        this.#schedule();
      });
    } finally {
      this.#waiter = undefined;
      answered.abort(ENDED);
    }
  }

  /** The connection is needed now: shortens a delay that started earlier. */
  hurry(): void {
    if (!this.#isRare) return;
    this.#isRare = false;
    this.#dueMs = Math.min(this.#dueMs, this.#options.pacing.place(this.#begunMs + ETCD_REDIAL_MAX_MS));
    this.#schedule();
  }

  /** Destroys every socket, whatever the state of its connection. */
  close(): void {
    this.#isClosed = true;
    this.#wait.abort(ENDED);
    const error = new Error(CLOSED);
    this.#waiter?.reject(error);
    for (const round of this.#rounds) round.abort(error);
    this.#connection?.socket.destroy();
  }

  /** Of the last connection; 0 where it has ended. */
  get receivedBytes(): number {
    const { socket } = this;
    return socket === undefined || socket.destroyed ? 0 : socket.bytesRead;
  }

  /** Closes the last connection; the next request makes another one. */
  drop(error: Error): void {
    this.socket?.destroy(error);
  }

  /** Starts the next attempt when it is due, if a connection is requested. */
  #schedule(): void {
    this.#wait.abort(ENDED);
    if (this.#waiter === undefined || this.#isClosed || this.#rounds.size >= MAX_DIAL_ROUNDS) return;
    const { clock } = this.#options.pacing;
    const dueMs = this.#rounds.size === 0 ? this.#dueMs : Math.max(this.#dueMs, this.#begunMs + ETCD_REDIAL_MS);
    this.#wait = new AbortController();
    void clock.sleep(Math.max(0, dueMs - clock.monotonicMs()), this.#wait.signal).then(
      () => this.#begin(),
      () => undefined,
    );
  }

  #begin(): void {
    const { host, port, addresses, lookup, pacing, isNeeded, open } = this.#options;
    const { clock } = pacing;
    this.#begunMs = clock.monotonicMs();
    const wantedMs = this.#begunMs + this.#backoff.nextMs();
    this.#isRare = !isNeeded();
    this.#dueMs = this.#isRare ? wantedMs : pacing.place(wantedMs);
    const round = new AbortController();
    this.#rounds.add(round);
    const found = addresses === undefined ? () => lookup.addresses(host) : () => Promise.resolve(addresses);
    const secure = (socket: Socket) => this.#secure(socket);
    void dialRound({ host, port, addresses: found, secure, open, clock }, round.signal)
      .finally(() => this.#rounds.delete(round))
      .then(
        (connection) => this.#connected(connection),
        (thrown: unknown) => {
          if (this.#rounds.size === 0) this.#fail(asError(thrown));
        },
      )
      .finally(() => this.#schedule());
    this.#schedule();
  }

  #connected(connection: Connection): void {
    const { pacing } = this.#options;
    if (this.#isClosed || this.#isSpare) {
      connection.socket.destroy();
      return;
    }
    this.#connection = connection;
    this.#connectedMs = pacing.clock.monotonicMs();
    this.#isSpare = this.#waiter === undefined;
    this.#waiter?.resolve(connection.session);
    this.#waiter = undefined;
    for (const round of this.#rounds) round.abort(new Error('another attempt was faster'));
  }

  #fail(error: Error): void {
    this.#waiter?.reject(error);
  }

  async #secure(socket: Socket): Promise<SecuredSocket> {
    const { credentials } = this.#options;
    if (credentials === undefined) return { socket, secure: false };
    return { socket: await this.#handshake(socket, credentials), secure: true };
  }

  async #handshake(socket: Socket, credentials: Credentials): Promise<Socket> {
    const { host, skipVerify, strictServerNames } = this.#options;
    const trust = await credentials.load();
    const secured = await handshake({ socket, alpn: ['h2'], trust, host, skipVerify, strictServerNames });
    credentials.verified(secured.peer);
    if (secured.peer.hasLegacyName) credentials.warnOfLegacyName(host);
    return secured.socket;
  }
}
