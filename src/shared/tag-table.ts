/**
 * Numbers by a tag of 32 bits, such as a hash, of which there may be millions: many small open hash tables.
 *
 * A Map takes three times the memory, leaves as much garbage each time it grows, and one of a million entries blocks for a tenth of a
 * second then. A part of this table grows or shrinks in less than a millisecond.
 *
 * The bits of a tag decide where it is looked for. So tags must be spread evenly, by numbers that differ from process to process where a
 * remote chooses what they are made of. Several entries may have the same tag: the owner tells them apart.
 */

const SHARDS = 64;
const SHARD_SHIFT = 26;
const FIRST_CELLS = 8;

/** The value of an empty cell. */
const EMPTY = -(2 ** 31);

/** Linear probing: at most three quarters of the cells are in use. */
interface Shard {
  tags: Uint32Array;
  values: Int32Array;
  count: number;
}

export class TagTable<Key> {
  readonly #isOf: (value: number, key: Key) => boolean;
  readonly #shards = new Array<Shard | undefined>(SHARDS);
  #size = 0;

  /** `isOf`: whether the entry with `value` is that of `key`; called where the tags are equal. */
  constructor(isOf: (value: number, key: Key) => boolean) {
    this.#isOf = isOf;
  }

  get size(): number {
    return this.#size;
  }

  /** `tag`: that of `key`, at least 0 and less than 2^32. */
  get(tag: number, key: Key): number | undefined {
    const shard = this.#shards[tag >>> SHARD_SHIFT];
    if (shard === undefined) return undefined;
    const value = shard.values[this.#cellOf(shard, tag, key)] as number;
    return value === EMPTY ? undefined : value;
  }

  /** `value`: more than -2^31, less than 2^31. */
  set(tag: number, key: Key, value: number): void {
    const at = tag >>> SHARD_SHIFT;
    const shard = this.#shards[at] ?? { ...emptyCells(FIRST_CELLS), count: 0 };
    let cell = this.#cellOf(shard, tag, key);
    if (shard.values[cell] === EMPTY) {
      if ((shard.count + 1) * 4 > shard.values.length * 3) {
        resize(shard, shard.values.length * 2);
        cell = this.#cellOf(shard, tag, key);
      }
      this.#shards[at] = shard;
      shard.count += 1;
      this.#size += 1;
    }
    shard.tags[cell] = tag;
    shard.values[cell] = value;
  }

  delete(tag: number, key: Key): void {
    const shard = this.#shards[tag >>> SHARD_SHIFT];
    if (shard !== undefined) this.#empty(shard, this.#cellOf(shard, tag, key));
  }

  /** Deletes the entries that `isOver` accepts, in no particular order. It may set the entry that it is asked about, and no other one. */
  deleteWhere(isOver: (tag: number, value: number) => boolean): void {
    for (const shard of this.#shards) {
      if (shard === undefined) continue;
      const over: number[] = [];
      for (let cell = 0; cell < shard.values.length; cell += 1) {
        const [tag, value] = [shard.tags[cell] as number, shard.values[cell] as number];
        if (value !== EMPTY && isOver(tag, value)) over.push(tag, value);
      }
      for (let at = 0; at < over.length; at += 2) this.#empty(shard, cellWith(shard, over[at] as number, over[at + 1] as number));
    }
  }

  /** The cell of the key, or the empty one where it would be. */
  #cellOf({ tags, values }: Shard, tag: number, key: Key): number {
    const mask = values.length - 1;
    for (let cell = tag & mask; ; cell = (cell + 1) & mask) {
      const value = values[cell] as number;
      if (value === EMPTY || (tags[cell] === tag && this.#isOf(value, key))) return cell;
    }
  }

  #empty(shard: Shard, cell: number): void {
    if (shard.values[cell] === EMPTY) return;
    this.#size -= 1;
    shard.count -= 1;
    if (shard.count === 0) this.#shards[(shard.tags[cell] as number) >>> SHARD_SHIFT] = undefined;
    else {
      vacate(shard, cell);
      if (shard.count * 8 < shard.values.length && shard.values.length > FIRST_CELLS) resize(shard, shard.values.length / 2);
    }
  }
}

function emptyCells(cells: number): Pick<Shard, 'tags' | 'values'> {
  return { tags: new Uint32Array(cells), values: new Int32Array(cells).fill(EMPTY) };
}

function cellWith({ tags, values }: Shard, tag: number, value: number): number {
  const mask = values.length - 1;
  let cell = tag & mask;
  while (tags[cell] !== tag || values[cell] !== value) cell = (cell + 1) & mask;
  return cell;
}

function resize(shard: Shard, cells: number): void {
  const { tags: oldTags, values: oldValues } = shard;
  const { tags, values } = emptyCells(cells);
  const mask = cells - 1;
  for (let from = 0; from < oldValues.length; from += 1) {
    const value = oldValues[from] as number;
    if (value === EMPTY) continue;
    const tag = oldTags[from] as number;
    let to = tag & mask;
    while (values[to] !== EMPTY) to = (to + 1) & mask;
    tags[to] = tag;
    values[to] = value;
  }
  shard.tags = tags;
  shard.values = values;
}

/** Empties a cell, and moves those behind it that a search would no longer reach. */
function vacate({ tags, values }: Shard, cell: number): void {
  const mask = values.length - 1;
  let hole = cell;
  for (let next = (hole + 1) & mask; values[next] !== EMPTY; next = (next + 1) & mask) {
    const distance = (next - ((tags[next] as number) & mask)) & mask;
    if (distance < ((next - hole) & mask)) continue;
    tags[hole] = tags[next] as number;
    values[hole] = values[next] as number;
    hole = next;
  }
  values[hole] = EMPTY;
}
