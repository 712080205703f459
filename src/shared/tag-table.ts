/**
 * Numbers by a tag of 32 bits, such as a hash, of which there may be millions: an open hash table, and many of them once it is large.
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

/** A table of one part that would need more cells is split; one with less than an eighth of that in use is joined again. */
const MOST_CELLS_IN_ONE = 4 * 1024;

/** The value of an empty cell. */
const EMPTY = -(2 ** 31);

/**
 * Linear probing: at most three quarters of the cells are in use. Tag and value of a cell are neighbours: they are read
 * together, and there is one buffer for each part.
 */
interface Shard {
  cells: Int32Array;
  count: number;
}

export class TagTable<Key> {
  readonly #isOf: (value: number, key: Key) => boolean;
  /** One, or all. */
  #shards = new Array<Shard | undefined>(1);
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
    const shard = this.#shards[this.#shardOf(tag)];
    if (shard === undefined) return undefined;
    const value = shard.cells[this.#cellOf(shard, tag, key) + 1] as number;
    return value === EMPTY ? undefined : value;
  }

  /** `value`: more than -2^31, less than 2^31. */
  set(tag: number, key: Key, value: number): void {
    let shard = this.#shardFor(tag);
    let cell = this.#cellOf(shard, tag, key);
    if (shard.cells[cell + 1] === EMPTY) {
      if ((shard.count + 1) * 4 > cellsOf(shard) * 3) {
        this.#grow(shard);
        shard = this.#shardFor(tag);
        cell = this.#cellOf(shard, tag, key);
      }
      shard.count += 1;
      this.#size += 1;
    }
    shard.cells[cell] = tag;
    shard.cells[cell + 1] = value;
  }

  delete(tag: number, key: Key): void {
    const shard = this.#shards[this.#shardOf(tag)];
    if (shard === undefined) return;
    this.#empty(shard, this.#cellOf(shard, tag, key));
    this.#join();
  }

  /** Deletes the entries that `isOver` accepts, in no particular order. It may set the entry that it is asked about, and no other one. */
  deleteWhere(isOver: (tag: number, value: number) => boolean): void {
    for (const shard of this.#shards) {
      if (shard === undefined) continue;
      const over: number[] = [];
      for (let cell = 0; cell < shard.cells.length; cell += 2) {
        const tag = (shard.cells[cell] as number) >>> 0;
        const value = shard.cells[cell + 1] as number;
        if (value !== EMPTY && isOver(tag, value)) over.push(tag, value);
      }
      for (let at = 0; at < over.length; at += 2) this.#empty(shard, cellWith(shard, over[at] as number, over[at + 1] as number));
    }
    this.#join();
  }

  #shardOf(tag: number): number {
    return this.#shards.length === 1 ? 0 : tag >>> SHARD_SHIFT;
  }

  #shardFor(tag: number): Shard {
    const at = this.#shardOf(tag);
    const shard = this.#shards[at] ?? { cells: emptyCells(FIRST_CELLS), count: 0 };
    this.#shards[at] = shard;
    return shard;
  }

  /** The cell of the key, or the empty one where it would be. */
  #cellOf({ cells }: Shard, tag: number, key: Key): number {
    const word = tag | 0;
    const mask = cells.length - 2;
    for (let cell = (tag << 1) & mask; ; cell = (cell + 2) & mask) {
      const value = cells[cell + 1] as number;
      if (value === EMPTY || (cells[cell] === word && this.#isOf(value, key))) return cell;
    }
  }

  #grow(shard: Shard): void {
    if (this.#shards.length > 1 || cellsOf(shard) < MOST_CELLS_IN_ONE) {
      resize(shard, cellsOf(shard) * 2);
      return;
    }
    this.#shards = new Array<Shard | undefined>(SHARDS);
    this.#take(shard);
  }

  #join(): void {
    if (this.#shards.length === 1 || this.#size * 8 > MOST_CELLS_IN_ONE) return;
    const shards = this.#shards;
    this.#shards = new Array<Shard | undefined>(1);
    for (const shard of shards) if (shard !== undefined) this.#take(shard);
  }

  /** Adds the entries of `from`, none of which is there. */
  #take({ cells }: Shard): void {
    for (let cell = 0; cell < cells.length; cell += 2) {
      const value = cells[cell + 1] as number;
      if (value === EMPTY) continue;
      const tag = (cells[cell] as number) >>> 0;
      const shard = this.#shardFor(tag);
      if ((shard.count + 1) * 4 > cellsOf(shard) * 3) resize(shard, cellsOf(shard) * 2);
      place(shard.cells, tag, value);
      shard.count += 1;
    }
  }

  #empty(shard: Shard, cell: number): void {
    if (shard.cells[cell + 1] === EMPTY) return;
    this.#size -= 1;
    shard.count -= 1;
    if (shard.count === 0) this.#shards[this.#shardOf(shard.cells[cell] as number)] = undefined;
    else {
      vacate(shard, cell);
      if (shard.count * 8 < cellsOf(shard) && cellsOf(shard) > FIRST_CELLS) resize(shard, cellsOf(shard) / 2);
    }
  }
}

function cellsOf({ cells }: Shard): number {
  return cells.length / 2;
}

function emptyCells(count: number): Int32Array {
  const cells = new Int32Array(2 * count);
  for (let cell = 1; cell < cells.length; cell += 2) cells[cell] = EMPTY;
  return cells;
}

function cellWith({ cells }: Shard, tag: number, value: number): number {
  const mask = cells.length - 2;
  let cell = (tag << 1) & mask;
  while (cells[cell] !== (tag | 0) || cells[cell + 1] !== value) cell = (cell + 2) & mask;
  return cell;
}

function resize(shard: Shard, count: number): void {
  const before = shard.cells;
  shard.cells = emptyCells(count);
  for (let from = 0; from < before.length; from += 2) {
    const value = before[from + 1] as number;
    if (value !== EMPTY) place(shard.cells, before[from] as number, value);
  }
}

/** Puts an entry that is not there into the first empty cell of its place. */
function place(cells: Int32Array, tag: number, value: number): void {
  const mask = cells.length - 2;
  let to = (tag << 1) & mask;
  while (cells[to + 1] !== EMPTY) to = (to + 2) & mask;
  cells[to] = tag;
  cells[to + 1] = value;
}

/** Empties a cell, and moves those behind it that a search would no longer reach. */
function vacate({ cells }: Shard, cell: number): void {
  const mask = cells.length - 2;
  let hole = cell;
  for (let next = (hole + 2) & mask; cells[next + 1] !== EMPTY; next = (next + 2) & mask) {
    const distance = (next - ((cells[next] as number) << 1)) & mask;
    if (distance < ((next - hole) & mask)) continue;
    cells[hole] = cells[next] as number;
    cells[hole + 1] = cells[next + 1] as number;
    hole = next;
  }
  cells[hole + 1] = EMPTY;
}
