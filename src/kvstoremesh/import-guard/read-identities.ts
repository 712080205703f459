/**
 * The identities of an ip entry, for the guard of values that the import policy has read: a value of which every key has one is
 * read once.
 */

/** An entry has one. Entries with more are read again. */
const MAX_IDENTITIES = 4;

export class ReadIdentities {
  readonly #found = new Uint32Array(MAX_IDENTITIES);
  #count = 0;
  #value: Buffer | undefined;

  /** The identities of `value` follow. */
  begin(value: Buffer): void {
    this.#value = value;
    this.#count = 0;
  }

  add(identity: number): void {
    if (this.#count === MAX_IDENTITIES) this.#value = undefined;
    else this.#found[this.#count] = identity;
    this.#count += 1;
  }

  /** Forgets the value: it may be a small part of a large message. */
  end(): void {
    this.#value = undefined;
  }

  /** Whether all identities of `value` are known. */
  has(value: Buffer): boolean {
    return this.#value === value;
  }

  /** The first identity of the value that is not `allowed`; `none` where all are. */
  foreign(allowed: (identity: number) => boolean): number | 'none' {
    for (let at = 0; at < this.#count; at += 1) {
      const identity = this.#found[at] as number;
      if (!allowed(identity)) return identity;
    }
    return 'none';
  }
}
