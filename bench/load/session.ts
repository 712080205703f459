/** Calls of an etcd over one HTTP/2 connection, with as little work as possible: a load must not be limited by its own client. */
import { readFileSync } from 'node:fs';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { EtcdConfig } from '../../src/shared/etcd/config.ts';

const FRAME_HEADER_BYTES = 5;

export class EtcdSession implements Disposable {
  readonly #session: ClientHttp2Session;
  #error: Error | undefined;

  constructor({ endpoints: [endpoint = ''], caFile, certFile, keyFile }: EtcdConfig) {
    const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file));
    const [ca, cert, key] = [read(caFile), read(certFile), read(keyFile)];
    const tls = ca === undefined || cert === undefined || key === undefined ? {} : { ca, cert, key };
    this.#session = connect(endpoint, tls);
    this.#session.on('error', (error) => {
      this.#error = error;
    });
  }

  /** Sends `message`; `onEnd` is called once, with an error if the call failed. */
  call(path: string, message: Buffer, onEnd: (error: Error | undefined) => void): void {
    const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + message.length);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    message.copy(frame, FRAME_HEADER_BYTES);
    const stream = this.#session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
    });
    let status: unknown;
    let failure: Error | undefined;
    const take = (headers: Readonly<Record<string, unknown>>) => {
      status = headers['grpc-status'] ?? status;
      if (headers['grpc-status'] !== undefined && headers['grpc-status'] !== '0')
        failure = new Error(`${path}: status ${headers['grpc-status']}: ${headers['grpc-message']}`);
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('error', (error) => {
      failure = this.#error ?? error;
    });
    stream.on('close', () => onEnd(failure ?? (status === '0' ? undefined : new Error(`${path}: no status`))));
    stream.resume();
    stream.end(frame);
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
  }
}
