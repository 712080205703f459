/** A call with one request and one response. */
import { constants, type IncomingHttpHeaders } from 'node:http2';
import { asError } from '../../errors.ts';
import { deadlines } from '../../time/deadlines.ts';
import { errorOfResponse, errorOfTrailers, GRPC, GrpcStatusError } from '../grpc-status.ts';
import { FrameReader, frameOf } from './grpc-frames.ts';
import type { CallHeaders, GrpcSession } from './grpc-session.ts';

export interface UnaryCallOptions {
  readonly path: string;
  readonly headers: CallHeaders;
  readonly request: Buffer;
  readonly timeoutMs: number;
  readonly maxMessageBytes: number;
}

/**
 * Sends the request and calls `done` once: with the response, or with a GrpcStatusError or an EtcdError. Returns a function that
 * cancels the call; `done` is then not called any more.
 */
export function unaryCall(
  session: GrpcSession,
  { path, headers, request, timeoutMs, maxMessageBytes }: UnaryCallOptions,
  done: (error: Error | undefined, answer: Buffer) => void,
): () => void {
  const stream = session.request(path, { ...headers, 'grpc-timeout': `${Math.ceil(timeoutMs)}m` });
  const frames = new FrameReader(maxMessageBytes);
  let message: Buffer | undefined;
  let isDone = false;
  const cancel = () => {
    isDone = true;
    leaveDeadline();
    stream.close(constants.NGHTTP2_CANCEL);
  };
  const fail = (error: Error) => {
    if (isDone) return;
    cancel();
    done(error, NO_BYTES);
  };
  const end = (error: Error | undefined) => {
    if (isDone) return;
    isDone = true;
    leaveDeadline();
    done(
      error ?? (message === undefined ? new GrpcStatusError(GRPC.INTERNAL, 'an answer without a message') : undefined),
      message ?? NO_BYTES,
    );
  };
  const leaveDeadline = deadlines.add(timeoutMs, () =>
    fail(new GrpcStatusError(GRPC.DEADLINE_EXCEEDED, `no answer within ${timeoutMs} ms`)),
  );
  stream.on('response', (response: IncomingHttpHeaders, flags: number) => {
    const refusal = errorOfResponse(response);
    if (refusal !== undefined) fail(refusal);
    else if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) end(errorOfTrailers(response));
  });
  stream.on('data', (chunk: Buffer) => {
    if (isDone) return;
    try {
      frames.feed(chunk);
      const next = frames.read();
      if (next === undefined) return;
      if (message !== undefined) throw new GrpcStatusError(GRPC.INTERNAL, 'two messages in one answer');
      message = next;
    } catch (thrown) {
      fail(asError(thrown));
    }
  });
  // All data was read before: the stream is never paused.
  stream.on('trailers', (trailers: IncomingHttpHeaders) => end(errorOfTrailers(trailers)));
  stream.on('close', () => {
    if (!isDone) end(session.errorOfClosed(stream));
  });
  stream.end(frameOf(request));
  return cancel;
}

const NO_BYTES: Buffer = Buffer.alloc(0);
