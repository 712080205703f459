/** Messages within the bytes of a stream, however the network cuts them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ResponseTooLargeError } from '../../../src/shared/etcd/errors.ts';
import { GrpcStatusError } from '../../../src/shared/etcd/grpc-status.ts';
import { FrameReader, frameOf, MAX_PREALLOCATED_MESSAGE_BYTES } from '../../../src/shared/etcd/wire/grpc-frames.ts';

const LIMIT = 8 * MAX_PREALLOCATED_MESSAGE_BYTES;

/** What a reader gives that gets `stream` in pieces of these sizes, in turns. */
function readIn(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const reader = new FrameReader(LIMIT);
  const found: Buffer[] = [];
  for (let at = 0, piece = 0; at < stream.length; piece += 1) {
    const size = sizes[piece % sizes.length] as number;
    reader.feed(stream.subarray(at, at + size));
    at += size;
    for (let message = reader.read(); message !== undefined; message = reader.read()) found.push(Buffer.from(message));
  }
  return found;
}

test('the messages are those that were sent, in their order, for any pieces', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 }),
      (messages, sizes) => {
        const sent = messages.map((message) => Buffer.from(message));
        expect(readIn(Buffer.concat(sent.map(frameOf)), sizes)).toEqual(sent);
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  ['whole', MAX_PREALLOCATED_MESSAGE_BYTES + 7, LIMIT],
  ['in frames of HTTP/2', MAX_PREALLOCATED_MESSAGE_BYTES + 7, 16_384],
  ['with room for more twice', 5 * MAX_PREALLOCATED_MESSAGE_BYTES, 16_384],
  ['with room for all of it at once', 5 * MAX_PREALLOCATED_MESSAGE_BYTES, 3 * MAX_PREALLOCATED_MESSAGE_BYTES],
])('a message that gets its memory as it arrives is the same, %s', (_, length, size) => {
  const large = Buffer.alloc(length, 'abc');
  const small = Buffer.from('after it');
  expect(readIn(Buffer.concat([frameOf(large), frameOf(small)]), [size])).toEqual([large, small]);
});

test('a message that is not complete is none', () => {
  const frame = frameOf(Buffer.from('value'));
  for (let length = 0; length < frame.length; length += 1) expect(readIn(frame.subarray(0, length), [3])).toEqual([]);
});

test('a message above the limit is refused before its content arrives, as is one that says it is compressed', () => {
  const tooLarge = new FrameReader(10);
  tooLarge.feed(frameOf(Buffer.alloc(11)).subarray(0, 5));
  expect(() => tooLarge.read()).toThrow(ResponseTooLargeError);
  const compressed = new FrameReader(10);
  compressed.feed(Buffer.from([1, 0, 0, 0, 0]));
  expect(() => compressed.read()).toThrow(GrpcStatusError);
});
