/**
 * A bidirectional stream that holds one message at a time.
 *
 * One message of a watch may have hundreds of megabytes. A message is read only on request; until then flow control stops
 * the server.
 */
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { asError } from '../../errors.ts';
import { errorOfResponse, errorOfTrailers, GRPC, GrpcStatusError } from '../grpc-status.ts';
import { FrameReader, frameOf } from './grpc-frames.ts';
import type { CallHeaders, GrpcSession } from './grpc-session.ts';

export interface MessageStreamOptions {
  /** The connection; a promise while it is being made. */
  readonly session: GrpcSession | Promise<GrpcSession>;
  readonly path: string;
  readonly headers: CallHeaders;
  readonly maxMessageBytes: number;
  /** Called for messages once they are no longer in use. */
  readonly onSettled: (messageBytes: number) => void;
}

interface Waiter {
  resolve(message: Buffer | undefined): void;
  reject(error: Error): void;
}

export class MessageStream {
  readonly #options: MessageStreamOptions;
  readonly #frames: FrameReader;
  #stream: ClientHttp2Stream | undefined;
  /** Messages that were sent before the connection was made. */
  #unsent: Buffer[] = [];
  #waiter: Waiter | undefined;
  /** Bytes of the messages that were handed over and are still in use. */
  #usedBytes = 0;
  /** What the server said of the end; data that came before may not be read yet. */
  #status: { readonly error: Error | undefined } | undefined;
  /** How the stream ended. It is reported after everything that was received before. */
  #ended: { readonly error: Error | undefined } | undefined;

  constructor(options: MessageStreamOptions) {
    this.#options = options;
    this.#frames = new FrameReader(options.maxMessageBytes);
    const { session } = options;
    if (!(session instanceof Promise)) this.#begin(session);
    else
      session.then(
        (made) => this.#begin(made),
        (thrown: unknown) => this.#end(asError(thrown)),
      );
  }

  send(message: Buffer): void {
    if (this.#ended !== undefined) return;
    if (this.#stream === undefined) this.#unsent.push(message);
    else this.#stream.write(frameOf(message));
  }

  /** The next message, undefined when the server ended the stream. Rejects with the status. Await it before the next call. */
  next(): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      this.#deliver();
    });
  }

  /** A message of so many bytes is no longer in use. Those that are when the stream is cancelled count as settled then. */
  settle(messageBytes: number): void {
    if (messageBytes > this.#usedBytes) return;
    this.#usedBytes -= messageBytes;
    this.#options.onSettled(messageBytes);
  }

  /** Ends the stream; a pending `next` rejects. Idempotent. */
  cancel(): void {
    this.settle(this.#usedBytes);
    this.#end(new GrpcStatusError(GRPC.CANCELLED, 'the stream was cancelled'));
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  #begin(session: GrpcSession): void {
    if (this.#ended !== undefined) return;
    try {
      this.#stream = this.#opened(session);
    } catch (thrown) {
      this.#end(asError(thrown));
      return;
    }
    for (const message of this.#unsent) this.#stream.write(frameOf(message));
    this.#unsent = [];
  }

  #opened(session: GrpcSession): ClientHttp2Stream {
    const stream = session.request(this.#options.path, this.#options.headers);
    stream.on('response', (response: IncomingHttpHeaders, flags: number) => {
      const refusal = errorOfResponse(response);
      if (refusal !== undefined) this.#fail(refusal);
      else if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#status = { error: errorOfTrailers(response) };
    });
    stream.on('data', (chunk: Buffer) => {
      this.#frames.feed(chunk);
      if (this.#waiter === undefined) stream.pause();
      else this.#deliver();
    });
    stream.on('trailers', (trailers: IncomingHttpHeaders) => {
      this.#status = { error: errorOfTrailers(trailers) };
    });
    stream.on('end', () => this.#status !== undefined && this.#end(this.#status.error));
    stream.on('close', () => this.#end(this.#status === undefined ? session.errorOfClosed(stream) : this.#status.error));
    return stream;
  }

  /** Serves the waiter with what has arrived. */
  #deliver(): void {
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    let message: Buffer | undefined;
    try {
      message = this.#frames.read();
    } catch (thrown) {
      this.#fail(asError(thrown));
      return;
    }
    if (message !== undefined) {
      this.#waiter = undefined;
      this.#usedBytes += message.length;
      waiter.resolve(message);
    } else if (this.#ended !== undefined) {
      this.#waiter = undefined;
      if (this.#ended.error === undefined) waiter.resolve(undefined);
      else waiter.reject(this.#ended.error);
    } else if (this.#stream?.isPaused() === true) {
      this.#stream.resume();
    }
  }

  /** What has arrived cannot be read. */
  #fail(error: Error): void {
    this.#ended = { error };
    this.#stream?.close(constants.NGHTTP2_CANCEL);
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(error);
  }

  #end(error: Error | undefined): void {
    this.#ended ??= { error };
    this.#unsent = [];
    this.#deliver();
  }
}
