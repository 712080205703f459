/**
 * Messages within the bytes of an HTTP/2 stream: each has a byte for compression and four for its length before it.
 *
 * Compression is not offered to the server and refused: a message of 64 kB could inflate to 64 MB.
 */
import { ResponseTooLargeError } from '../errors.ts';
import { GRPC, GrpcStatusError } from '../grpc-status.ts';

/** A message of an etcd up to this size gets its memory when its length is known; a larger one gets four times as much whenever so much has arrived. */
export const MAX_PREALLOCATED_MESSAGE_BYTES = 1024 * 1024;
const GROWTH = 4;

const HEAD_BYTES = 5;

/** `message` as it is sent. */
export function frameOf(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, HEAD_BYTES);
  return frame;
}

/** Takes the bytes of one stream in pieces and gives its messages, one for each call of `read`. */
export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #headBytes = 0;
  /** Pieces that are not read yet. */
  readonly #chunks: Buffer[] = [];
  /** Of the first piece, how much was read. */
  #offset = 0;
  /** Of the message that is being read; undefined before its length is known. */
  #length: number | undefined;
  #whole: Buffer | undefined;
  #received = 0;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** `chunk` is kept, and messages may be views of it. */
  feed(chunk: Buffer): void {
    if (chunk.length > 0) this.#chunks.push(chunk);
  }

  /**
   * The next message, undefined while it is not complete. Throws ResponseTooLargeError as soon as the length of a larger one is
   * known, and GrpcStatusError for a compressed one: then nothing more can be read.
   */
  read(): Buffer | undefined {
    for (;;) {
      if (this.#length === undefined) {
        if (!this.#readHead()) return undefined;
        this.#begin();
      }
      const length = this.#length as number;
      const chunk = this.#chunks[0];
      if (chunk === undefined) return length === 0 ? this.#finish(Buffer.alloc(0)) : undefined;
      const left = chunk.length - this.#offset;
      if (this.#received === 0 && left >= length) {
        const message = chunk.subarray(this.#offset, this.#offset + length);
        this.#advance(length);
        return this.#finish(message);
      }
      this.#take(chunk, Math.min(left, length - this.#received));
      if (this.#received === length) return this.#finish(this.#whole as Buffer);
    }
  }

  /** False while bytes are missing. */
  #readHead(): boolean {
    for (let chunk = this.#chunks[0]; this.#headBytes < HEAD_BYTES; chunk = this.#chunks[0]) {
      if (chunk === undefined) return false;
      const count = Math.min(HEAD_BYTES - this.#headBytes, chunk.length - this.#offset);
      chunk.copy(this.#head, this.#headBytes, this.#offset, this.#offset + count);
      this.#headBytes += count;
      this.#advance(count);
    }
    return true;
  }

  #begin(): void {
    const length = this.#head.readUInt32BE(1);
    if (this.#head[0] !== 0) throw new GrpcStatusError(GRPC.UNIMPLEMENTED, 'a compressed message, which was not requested');
    if (length > this.#maxMessageBytes)
      throw new ResponseTooLargeError(`${length} bytes, of ${this.#maxMessageBytes} that a message may have`);
    this.#length = length;
    this.#received = 0;
    this.#whole = undefined;
  }

  /**
   * Copies at once: joining the pieces of a message of many megabytes at its end would block the event loop. A server that
   * announces a large message takes little memory before it sends it.
   */
  #take(chunk: Buffer, count: number): void {
    const whole = this.#withRoomFor(this.#received + count);
    chunk.copy(whole, this.#received, this.#offset, this.#offset + count);
    this.#received += count;
    this.#advance(count);
  }

  #withRoomFor(bytes: number): Buffer {
    const whole = this.#whole;
    if (whole !== undefined && bytes <= whole.length) return whole;
    let capacity = MAX_PREALLOCATED_MESSAGE_BYTES;
    while (capacity < bytes) capacity *= GROWTH;
    const grown = Buffer.allocUnsafeSlow(Math.min(this.#length as number, capacity));
    whole?.copy(grown, 0, 0, this.#received);
    this.#whole = grown;
    return grown;
  }

  #finish(message: Buffer): Buffer {
    this.#headBytes = 0;
    this.#length = undefined;
    this.#whole = undefined;
    return message;
  }

  #advance(count: number): void {
    this.#offset += count;
    if (this.#offset < (this.#chunks[0]?.length ?? 0)) return;
    this.#chunks.shift();
    this.#offset = 0;
  }
}
