/** Most distinct values that are remembered; a cluster has 5,000 nodes. */
const MAX_REMEMBERED = 8_192;

/**
 * Values that many objects have in common, such as the address of a node: each object is parsed by itself, and would keep a copy.
 * What is rare is forgotten with all others when there are too many; objects keep what they have.
 */
export class Repeated<T> {
  readonly #remembered = new Map<string, T>();

  /** The value that was passed first for `text`, which must determine it. */
  first(text: string, value: T): T {
    const known = this.#remembered.get(text);
    if (known !== undefined) return known;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(text, value);
    return value;
  }
}
