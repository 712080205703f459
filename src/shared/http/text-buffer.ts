/** A long text in UTF-8, written piece by piece into one buffer. */

/** The most bytes of UTF-8 for a UTF-16 code unit. */
const BYTES_PER_CODE_UNIT = 3;

export class TextBuffer {
  #bytes: Buffer;
  #length = 0;

  /** `expectedBytes`: what the text will probably have. More is possible, and copies it. */
  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(expectedBytes);
  }

  append(text: string): void {
    const most = this.#length + text.length * BYTES_PER_CODE_UNIT;
    if (most > this.#bytes.length) this.#grow(most);
    this.#length += this.#bytes.write(text, this.#length);
  }

  /** The text; shares the memory. */
  end(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(atLeast, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
