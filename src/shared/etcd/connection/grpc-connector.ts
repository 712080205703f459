/**
 * Replaces the connections of grpc-js with our own.
 *
 * The library repeats DNS lookups every 30 s at most, waits for a TCP connection as long as the kernel does, and has no
 * option to change this. A channel with the option CONNECT calls its function for each connection instead; the library creates the
 * HTTP/2 session over the socket and owns it from then on. The version of the library is pinned: this code uses
 * internal interfaces, and `test/etcd/connection/dialling.test.ts` verifies that they exist.
 */

import type { Socket } from 'node:net';
import { Http2SubchannelConnector, type Transport } from '@grpc/grpc-js/build/src/transport.js';

export interface SecuredSocket {
  readonly socket: Socket;
  /** With TLS. */
  readonly secure: boolean;
}

/** A connection over which requests can be sent. */
export type GrpcTransport = Transport;

/** Creates the HTTP/2 session; resolves when the server has sent its first frame. */
export type OpenSession = (secured: SecuredSocket) => Promise<GrpcTransport>;

export type Connect = (open: OpenSession) => Promise<GrpcTransport>;

/** The channel option for a function of type Connect. */
export const CONNECT = 'clustermesh.connect';

type ConnectParameters = Parameters<Http2SubchannelConnector['connect']>;

interface Connector {
  readonly channelTarget: ConstructorParameters<typeof Http2SubchannelConnector>[0];
  connect(...parameters: ConnectParameters): Promise<GrpcTransport>;
  createSession(secured: SecuredSocket, address: ConnectParameters[0], options: ConnectParameters[2]): Promise<GrpcTransport>;
}

const prototype = Http2SubchannelConnector.prototype as unknown as Connector;
const connectOfLibrary = prototype.connect;

prototype.connect = function (this: Connector, address, secureConnector, options) {
  const connect = options[CONNECT] as Connect | undefined;
  if (connect === undefined) return connectOfLibrary.call(this, address, secureConnector, options);
  // A connector has one session at a time, and attempts may overlap.
  const connector = () => new Http2SubchannelConnector(this.channelTarget) as unknown as Connector;
  return connect((secured) => connector().createSession(secured, address, options));
};
