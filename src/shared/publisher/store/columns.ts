/** What is known of the keys of a table, in a column of numbers for each property. */

const BYTES_PER_SLOT = 8 + 8 * 4 + 1;

export type Columns = ReturnType<typeof columnsOf>;

/** Columns of `capacity` slots. They share a buffer: one for each column would take more memory than a small table. */
export function columnsOf(capacity: number) {
  const buffer = new ArrayBuffer(capacity * BYTES_PER_SLOT);
  let used = 0;
  const next = (bytes: number): number => {
    const at = used;
    used += bytes * capacity;
    return at;
  };
  const doubles = () => new Float64Array(buffer, next(8), capacity);
  const words = () => new Uint32Array(buffer, next(4), capacity);
  // The widest come first, so that each begins at a multiple of its width.
  return {
    revision: doubles(),
    block: words(),
    keyLength: words(),
    valueLength: words(),
    digestLow: words(),
    digestHigh: words(),
    lease: words(),
    listing: words(),
    place: words(),
    flags: new Uint8Array(buffer, next(1), capacity),
  };
}

export const NO_COLUMNS = columnsOf(0);

/** `to`, with the numbers of `from` as far as there is room. */
export function resized<T extends Columns[keyof Columns]>(from: T, to: T): T {
  to.set(from.length > to.length ? (from.subarray(0, to.length) as T) : from);
  return to;
}
