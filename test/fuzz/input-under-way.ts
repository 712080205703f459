/** The input that a process has begun with, in a file, which outlives the process however that ends. */
import { closeSync, fstatSync, openSync, readSync, writevSync } from 'node:fs';

/** Number and length of the input come before it. */
const HEAD_BYTES = 8;

export class InputUnderWay {
  readonly #file: number;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  #number = 0;

  private constructor(file: number) {
    this.#file = file;
  }

  static create(path: string): InputUnderWay {
    return new InputUnderWay(openSync(path, 'w+'));
  }

  static open(path: string): InputUnderWay {
    return new InputUnderWay(openSync(path, 'r+'));
  }

  /** To be called before anything is done with `input`. */
  begin(input: Buffer): void {
    this.#number += 1;
    this.#head.writeUInt32LE(this.#number, 0);
    this.#head.writeUInt32LE(input.length, 4);
    writevSync(this.#file, [this.#head, input], 0);
  }

  /** The last input that was begun with, and how many were; 0 and an empty one before the first. */
  read(): { readonly number: number; readonly input: Buffer } {
    const found = Buffer.alloc(Math.max(HEAD_BYTES, fstatSync(this.#file).size));
    readSync(this.#file, found, 0, found.length, 0);
    const end = HEAD_BYTES + found.readUInt32LE(4);
    return { number: found.readUInt32LE(0), input: found.subarray(HEAD_BYTES, end) };
  }

  close(): void {
    closeSync(this.#file);
  }
}
