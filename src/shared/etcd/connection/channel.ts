/**
 * One channel to one endpoint: its connection, made when it is needed and again after it was lost, with a count of its users.
 *
 * While the first attempt is made, requests wait for it. After a failure they fail at once with its reason until a connection is made;
 * attempts go on. A retired channel (because certificates changed, or because dialing hangs) accepts no new users. Its streams
 * are notified to move, requests in flight finish, and the connection is closed with the last user.
 */
import { asError } from '../../errors.ts';
import { ETCD_KEEPALIVE_TIME_MS } from '../../limits.ts';
import type { EtcdError } from '../errors.ts';
import { GRPC, GrpcStatusError } from '../grpc-status.ts';
import { type GrpcSession, openSession } from '../wire/grpc-session.ts';
import type { ReceiveLimits, Receiver } from '../wire/receive-budget.ts';
import { ChannelSilence, type KeepaliveTimes } from './channel-silence.ts';
import { Dialer, type DialerOptions } from './dialer.ts';

export interface EndpointChannelOptions extends Omit<DialerOptions, 'open'> {
  /** `host:port` of the endpoint, for the `:authority` header. */
  readonly authority: string;
  readonly keepalive: KeepaliveTimes | undefined;
  /** Of the etcd, for messages. */
  readonly name: string;
  /** Undefined for an etcd that is trusted. */
  readonly receive: ReceiveLimits | undefined;
  /** It takes the place of one that was silent. */
  readonly isReplacement?: boolean;
  /** The connection came up after one had been lost, or after at least one attempt had failed. */
  readonly onRecovered: () => void;
}

/** What HTTP/2 and TLS add to the bytes of a message, at most, and headers and trailers to each. */
const FRAMING_SHARE = 0.05;
const MESSAGE_OVERHEAD_BYTES = 1024;

export class EndpointChannel implements Receiver {
  readonly name: string;
  readonly #dialer: Dialer;
  readonly #silence: ChannelSilence;
  readonly #onRecovered: () => void;
  readonly #leavers = new Set<() => void>();
  readonly #leaveBudget: (() => void) | undefined;
  #session: GrpcSession | undefined;
  /** The first attempt since there was a connection last. */
  #connecting: Promise<GrpcSession> | undefined;
  /** Why the last attempt failed, where none has succeeded since. */
  #failure: GrpcStatusError | undefined;
  #users = 0;
  #settledBytes = 0;
  #refusal: EtcdError | undefined;
  #hasFailed: boolean;
  #isRetired = false;
  #isClosed = false;

  constructor(options: EndpointChannelOptions) {
    const { authority, keepalive, receive, pacing } = options;
    const keepaliveMs = keepalive?.timeMs ?? ETCD_KEEPALIVE_TIME_MS;
    this.#dialer = new Dialer({ ...options, open: (secured) => openSession(secured, { authority, keepaliveMs }) });
    this.name = options.name;
    this.#leaveBudget = receive?.budget.add(this);
    this.#silence = new ChannelSilence(keepalive, pacing.clock, () => this.#users > 0);
    this.#onRecovered = options.onRecovered;
    this.#hasFailed = options.isReplacement === true;
  }

  /** Connected. */
  get isReady(): boolean {
    return this.#session?.isOpen === true;
  }

  /**
   * The connection; a promise while it is being made, which rejects with a GrpcStatusError if it is not. Throws GrpcStatusError
   * where the last attempt failed, and where the channel was closed.
   */
  session(): GrpcSession | Promise<GrpcSession> {
    if (this.#isClosed) throw new GrpcStatusError(GRPC.UNAVAILABLE, 'the channel was closed');
    if (this.#session?.isOpen === true) return this.#session;
    if (this.#failure !== undefined) throw this.#failure;
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  /** Bytes received and not processed yet. */
  get heldBytes(): number {
    const received = this.#dialer.receivedBytes;
    this.#settledBytes = Math.min(this.#settledBytes, received);
    return received - this.#settledBytes;
  }

  /** Marks a message of so many bytes as processed, with its framing. */
  settle(messageBytes: number): void {
    this.#settledBytes += messageBytes * (1 + FRAMING_SHARE) + MESSAGE_OVERHEAD_BYTES;
    if (this.isReady) this.#refusal = undefined;
  }

  /** Why the connection was dropped by ourselves; undefined once a message came over the next one. */
  get refusal(): EtcdError | undefined {
    return this.#refusal;
  }

  /** Drops the connection; the next request makes another one. */
  refuse(error: EtcdError): void {
    this.#refusal = error;
    this.#settledBytes = 0;
    this.#dialer.drop(error);
  }

  /** Nothing has arrived for longer than a ping takes. */
  get isSilent(): boolean {
    return this.isReady && this.#silence.isSuspicious;
  }

  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** Counts a user in; `onRetire` is called at most once. Returns a function that counts it out. */
  use(onRetire?: () => void): () => void {
    this.#users += 1;
    if (onRetire !== undefined) this.#leavers.add(onRetire);
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users -= 1;
      if (onRetire !== undefined) this.#leavers.delete(onRetire);
      if (this.#isRetired && this.#users === 0) this.close();
    };
  }

  retire(): void {
    this.#isRetired = true;
    for (const leave of [...this.#leavers]) leave();
    if (this.#users === 0) this.close();
  }

  /** See Dialer. */
  hurry(): void {
    this.#dialer.hurry();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#leaveBudget?.();
    this.#session?.destroy();
    this.#dialer.close();
    this.#silence.end();
  }

  /** The first attempt; after a failure the next ones are made without anyone waiting for them. */
  async #connect(): Promise<GrpcSession> {
    try {
      return await this.#attempt();
    } catch (thrown) {
      void this.#connectLater();
      throw thrown;
    }
  }

  async #connectLater(): Promise<void> {
    let isConnected = false;
    while (!isConnected && !this.#isClosed) {
      isConnected = await this.#attempt().then(
        () => true,
        () => false,
      );
    }
  }

  async #attempt(): Promise<GrpcSession> {
    try {
      const session = await this.#dialer.connect();
      this.#connected(session);
      return session;
    } catch (thrown) {
      this.#hasFailed = true;
      this.#failure = new GrpcStatusError(GRPC.UNAVAILABLE, asError(thrown).message);
      throw this.#failure;
    }
  }

  #connected(session: GrpcSession): void {
    this.#session = session;
    this.#connecting = undefined;
    this.#failure = undefined;
    session.onEnded = () => {
      if (this.#session === session) this.#hasFailed = true;
    };
    this.#silence.watch(this.#dialer.socket);
    if (this.#hasFailed) this.#onRecovered();
    this.#hasFailed = false;
  }
}
