/**
 * Splits a stream of bytes into lines: the framing of a watch, one JSON object per line.
 *
 * A line that spans chunks is kept as a list of pieces and joined once, so a long line is copied only once.
 */

import { KubeDecodeError } from '../errors.ts';
import { MAX_KUBE_OBJECT_BYTES } from '../limits.ts';

const NEWLINE = 0x0a;

export class LineSplitter {
  #pieces: Buffer[] = [];
  #sizeBytes = 0;

  /** The lines that `chunk` completes, without their line ends; empty lines are left out. Throws KubeDecodeError over the bound. */
  *push(chunk: Buffer): Generator<Buffer, void, void> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.#take(chunk.subarray(start, end));
      start = end + 1;
      if (line.length > 0) yield line;
    }
    this.#keep(chunk.subarray(start));
  }

  /** To be called at the end of the stream. Throws KubeDecodeError where it ended inside a line. */
  finish(): void {
    if (this.#sizeBytes > 0) throw new KubeDecodeError(`the stream ended within a line, after ${this.#sizeBytes} bytes of it`);
  }

  #keep(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#sizeBytes += piece.length;
    if (this.#sizeBytes > MAX_KUBE_OBJECT_BYTES) {
      throw new KubeDecodeError(`a line is longer than ${MAX_KUBE_OBJECT_BYTES} bytes`);
    }
    this.#pieces.push(piece);
  }

  #take(piece: Buffer): Buffer {
    if (this.#sizeBytes === 0 && piece.length <= MAX_KUBE_OBJECT_BYTES) return piece;
    this.#keep(piece);
    const line = Buffer.concat(this.#pieces, this.#sizeBytes);
    this.#pieces = [];
    this.#sizeBytes = 0;
    return line;
  }
}
