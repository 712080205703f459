/**
 * How one endpoint is dialled: in the clear or with TLS, verified against the endpoint's own name
 * whatever address it was reached at.
 *
 * The library neither limits how long a handshake takes nor gives up its socket when the channel is
 * closed meanwhile: somebody in between who accepts connections and never answers would stop it for
 * good. Therefore every socket is known here, has a time to become of use, and ends with the dialer.
 */
import type { Socket } from 'node:net';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { Clock } from '../clock.ts';
import { ETCD_DIAL_TIMEOUT_MS } from '../limits.ts';
import { handshake } from '../tls/handshake.ts';
import type { Credentials } from './credentials.ts';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

export interface DialerOptions {
  /** Absent for plain text. */
  readonly credentials: Credentials | undefined;
  /** The name that the server's certificate must carry. */
  readonly host: string;
  readonly skipVerify: boolean;
  readonly strictServerNames: boolean;
  readonly clock: Clock;
}

export class Dialer extends ChannelCredentials {
  readonly #options: DialerOptions;
  readonly #isConnected: () => boolean;
  readonly #sockets = new Set<Socket>();

  /** `isConnected` tells whether the channel has a connection that works. */
  constructor(options: DialerOptions, isConnected: () => boolean) {
    super();
    this.#options = options;
    this.#isConnected = isConnected;
  }

  /** Destroys every socket, whatever has become of its connection. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Of all sockets that are open. */
  get receivedBytes(): number {
    let bytes = 0;
    for (const socket of this.#sockets) bytes += socket.bytesRead;
    return bytes;
  }

  override _isSecure(): boolean {
    return this.#options.credentials !== undefined;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): SecureConnector {
    return {
      connect: async (socket) => {
        void this.#watchOver(socket);
        const { credentials } = this.#options;
        if (credentials === undefined) return { socket, secure: false };
        return { socket: await this.#handshake(socket, credentials), secure: true };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  /** Never rejects. */
  async #watchOver(socket: Socket): Promise<void> {
    const closed = new AbortController();
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      closed.abort();
    });
    await this.#options.clock.sleep(ETCD_DIAL_TIMEOUT_MS, closed.signal).catch(() => undefined);
    if (!closed.signal.aborted && !this.#isConnected()) {
      socket.destroy(new Error(`connected, but no answer within ${ETCD_DIAL_TIMEOUT_MS} ms`));
    }
  }

  async #handshake(socket: Socket, credentials: Credentials): Promise<Socket> {
    const { host, skipVerify, strictServerNames } = this.#options;
    const trust = await credentials.load();
    const secured = await handshake({ socket, alpn: ['h2'], trust, host, skipVerify, strictServerNames });
    if (secured.peer.hasLegacyName) credentials.warnOfLegacyName(host);
    return secured.socket;
  }
}
