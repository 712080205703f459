/**
 * gRPC over one HTTP/2 connection: its streams, its keepalive pings, and why it ended.
 *
 * Node's HTTP/2 does the framing and the flow control. What gRPC adds to it is little: headers, a prefix before each message, and a
 * status in the trailers. A client library for it costs twice the time per call.
 */

import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { ETCD_FLOW_CONTROL_WINDOW_BYTES } from '../../limits.ts';
import { ENDED } from '../../time/abort.ts';
import { systemClock } from '../../time/clock.ts';
import { GRPC, GrpcStatusError } from '../grpc-status.ts';

/** Requests over one connection, then another one is made: HTTP/2 has numbers for 2^30 streams of a client. */
const MAX_REQUESTS_PER_CONNECTION = 2 ** 29;

export interface SecuredSocket {
  readonly socket: Socket;
  /** With TLS. */
  readonly secure: boolean;
}

export interface SessionOptions {
  /** For the `:authority` header. */
  readonly authority: string;
  /** Between two pings, while there are requests or streams. */
  readonly keepaliveMs: number;
}

/** The part of the headers that differs between calls. */
export type CallHeaders = Readonly<Record<string, string>>;

const USER_AGENT = 'clustermesh-apiserver';

/** Node requires one. The socket is connected already, and requests name their authority, which need not be part of a URL: `[fe80::1%eth0]`. */
const UNUSED_URL = 'http://localhost';

const CLOSED = 'the connection was closed';

const NO_ERROR = new Error('');

/** Of Node, for a stream that was ended by a frame or with its connection: the connection knows more. */
const STREAM_ERRORS = new Set(['ERR_HTTP2_STREAM_ERROR', 'ERR_HTTP2_STREAM_CANCEL']);

/** Resolves when the server has sent its first frame. Rejects with why it did not; the socket is destroyed then. */
export function openSession({ socket, secure }: SecuredSocket, options: SessionOptions): Promise<GrpcSession> {
  return new Promise((resolve, reject) => {
    const session = connect(UNUSED_URL, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: ETCD_FLOW_CONTROL_WINDOW_BYTES },
      // Node rejects streams above its default of 10 MB; received bytes are limited by the receive budget.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
    });
    let failure = new Error('the connection was closed before the first frame of HTTP/2');
    session.on('error', (error) => {
      failure = error;
    });
    const onClosed = () => {
      socket.destroy();
      reject(failure);
    };
    session.once('close', onClosed);
    session.once('remoteSettings', () => {
      session.off('close', onClosed);
      session.setLocalWindowSize(ETCD_FLOW_CONTROL_WINDOW_BYTES);
      resolve(new GrpcSession(session, secure, options));
    });
  });
}

export class GrpcSession {
  readonly #session: ClientHttp2Session;
  readonly #headers: CallHeaders;
  readonly #keepaliveMs: number;
  #ping: AbortController | undefined;
  #streams = 0;
  #requests = 0;
  #isOpen = true;
  #failure: Error | undefined;
  #onEnded: () => void = () => undefined;

  constructor(session: ClientHttp2Session, secure: boolean, { authority, keepaliveMs }: SessionOptions) {
    this.#session = session;
    this.#keepaliveMs = keepaliveMs;
    this.#headers = {
      ':method': 'POST',
      ':scheme': secure ? 'https' : 'http',
      ':authority': authority,
      te: 'trailers',
      'content-type': 'application/grpc',
      'user-agent': USER_AGENT,
    };
    session.on('error', (error) => {
      this.#failure ??= error;
    });
    session.once('goaway', () => this.#end());
    session.once('close', () => this.#end());
    // A connection without requests does not keep the process running.
    session.unref();
  }

  /** It accepts requests. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Called once, when it accepts no more requests; those under way may still be answered. */
  set onEnded(listener: () => void) {
    this.#onEnded = listener;
  }

  /** A new stream, with listeners for its errors. Throws GrpcStatusError where the connection has ended. */
  request(path: string, headers: CallHeaders): ClientHttp2Stream {
    const stream = this.#opened({ ...this.#headers, ':path': path, ...headers });
    this.#requests += 1;
    this.#streams += 1;
    if (this.#streams === 1) this.#begin();
    stream.on('error', () => undefined);
    stream.once('close', () => {
      this.#streams -= 1;
      if (this.#streams === 0) this.#rest();
    });
    // HTTP/2 numbers streams, and the numbers of a connection are used up after a few weeks of a thousand requests a second.
    if (this.#requests >= MAX_REQUESTS_PER_CONNECTION) this.#end();
    return stream;
  }

  /** Why `stream` was closed without a status. */
  errorOfClosed({ errored, rstCode = 0 }: ClientHttp2Stream): GrpcStatusError {
    const { code = '' }: NodeJS.ErrnoException = errored ?? NO_ERROR;
    const failure = errored !== null && !STREAM_ERRORS.has(code) ? errored : this.#failure;
    if (failure !== undefined) return new GrpcStatusError(GRPC.UNAVAILABLE, `the connection was closed: ${failure.message}`);
    if (this.#session.destroyed || this.#session.closed) return new GrpcStatusError(GRPC.UNAVAILABLE, CLOSED);
    return new GrpcStatusError(
      GRPC.UNAVAILABLE,
      `the server ended the stream with code ${rstCode} of HTTP/2 and without a status`,
    );
  }

  /** Closes the connection with everything on it. Idempotent. */
  destroy(): void {
    this.#end();
    this.#session.destroy();
  }

  #opened(headers: CallHeaders): ClientHttp2Stream {
    if (this.#session.closed || this.#session.destroyed) throw new GrpcStatusError(GRPC.UNAVAILABLE, CLOSED);
    return this.#session.request(headers);
  }

  #begin(): void {
    this.#session.ref();
    this.#pingLater();
  }

  /** After each answer: a server counts pings that come too soon, and a slow link delivers those that wait together. */
  #pingLater(): void {
    this.#ping?.abort(ENDED);
    if (this.#streams === 0 || this.#session.destroyed) return;
    this.#ping = new AbortController();
    void systemClock.sleep(this.#keepaliveMs, this.#ping.signal).then(
      () => {
        if (!this.#session.destroyed) this.#session.ping((error) => error === null && this.#pingLater());
      },
      () => undefined,
    );
  }

  #rest(): void {
    this.#ping?.abort(ENDED);
    if (this.#isOpen) this.#session.unref();
    else this.#session.close();
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#streams === 0) this.#rest();
    this.#onEnded();
  }
}
