/**
 * How one endpoint is dialled: in the clear or with TLS, verified against the endpoint's own name
 * whatever address it was reached at.
 *
 * The library neither limits how long a handshake takes nor gives up its socket when the channel is
 * closed meanwhile. Therefore every socket is known here and ends with the dialer.
 */
import { isIP, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { CallCredentials, ChannelCredentials } from '@grpc/grpc-js';
import type { Credentials } from './credentials.ts';

type SecureConnector = ReturnType<ChannelCredentials['_createSecureConnector']>;

export interface DialerOptions {
  /** Absent for plain text. */
  readonly credentials: Credentials | undefined;
  /** The name that the server's certificate must carry. */
  readonly host: string;
  readonly skipVerify: boolean;
}

export class Dialer extends ChannelCredentials {
  readonly #options: DialerOptions;
  readonly #sockets = new Set<Socket>();

  constructor(options: DialerOptions) {
    super();
    this.#options = options;
  }

  /** Destroys every socket, whatever has become of its connection. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
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
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
        const { credentials } = this.#options;
        if (credentials === undefined) return { socket, secure: false };
        return { socket: await this.#handshake(socket, credentials), secure: true };
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => undefined,
    };
  }

  #handshake(socket: Socket, credentials: Credentials): Promise<Socket> {
    const { host, skipVerify } = this.#options;
    return new Promise((resolve, reject) => {
      const secure = connect(
        {
          socket,
          secureContext: credentials.load(),
          ALPNProtocols: ['h2'],
          host,
          // RFC 6066 knows no addresses as server names.
          ...(isIP(host) === 0 ? { servername: host } : {}),
          rejectUnauthorized: !skipVerify,
        },
        () => resolve(secure),
      );
      secure.on('error', reject);
    });
  }
}
