/**
 * TLS over a socket, with the rules of Go programs for trust and names. All clients verify servers with this code.
 */
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { type Peer, type PeerRules, verifyPeer } from './peer.ts';
import { serverNameOf } from './server-name.ts';

export interface HandshakeOptions extends PeerRules {
  /** Connected, or about to be. */
  readonly socket: Duplex;
  readonly alpn: readonly string[];
}

export interface SecuredSocket {
  readonly socket: TLSSocket;
  readonly peer: Peer;
}

/** Rejects with PeerError where the server is not to be trusted, or with what went wrong; the socket is destroyed then. */
export function handshake({ socket, alpn, ...rules }: HandshakeOptions): Promise<SecuredSocket> {
  const servername = serverNameOf(rules.host);
  return new Promise((resolve, reject) => {
    const secured = connect(
      {
        socket,
        secureContext: rules.trust.context,
        ALPNProtocols: [...alpn],
        host: rules.host,
        ...(servername === undefined ? {} : { servername }),
        // Node's own verification rejects some chains that `verifyPeer` accepts: see chain.ts.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      },
      () => {
        try {
          resolve({ socket: secured, peer: verifyPeer(secured, rules) });
        } catch (thrown) {
          secured.destroy();
          reject(thrown as Error);
        }
      },
    );
    secured.on('error', (error) => {
      secured.destroy();
      reject(error);
    });
    secured.once('close', () => reject(new Error('the connection was closed before secure TLS connection was established')));
  });
}
