/**
 * A number for each address, of which there may be millions.
 *
 * IPv4 addresses are in many small open hash tables of numbers: a Map takes three times the memory, and leaves as much garbage each time
 * it grows. All others are in a Map.
 *
 * Each process uses its own random number, so that a remote cannot choose addresses that meet in one place.
 */
import { randomBytes } from 'node:crypto';
import type { AddressKey } from './addresses.ts';

const SHARDS = 64;
const SHARD_SHIFT = 26;
const FIRST_CELLS = 8;
const SEED = randomBytes(4).readUInt32LE(0);

/** The value of an empty cell. */
const EMPTY = -(2 ** 31);

/** Linear probing: at most three quarters of the cells are in use. */
interface Shard {
  addresses: Int32Array;
  values: Int32Array;
  count: number;
}

export class AddressTable {
  readonly #shards = new Array<Shard | undefined>(SHARDS);
  readonly #others = new Map<AddressKey, number>();
  #ipv4 = 0;

  get size(): number {
    return this.#ipv4 + this.#others.size;
  }

  get(address: AddressKey): number | undefined {
    if (typeof address !== 'number') return this.#others.get(address);
    const hash = hashOf(address);
    const shard = this.#shards[hash >>> SHARD_SHIFT];
    if (shard === undefined) return undefined;
    const value = shard.values[cellOf(shard, address, hash)] as number;
    return value === EMPTY ? undefined : value;
  }

  /** `value`: more than -2^31, less than 2^31. */
  set(address: AddressKey, value: number): void {
    if (typeof address !== 'number') {
      this.#others.set(address, value);
      return;
    }
    const hash = hashOf(address);
    const shard = this.#shardFor(hash);
    const cell = cellOf(shard, address, hash);
    if (shard.values[cell] === EMPTY) {
      shard.count += 1;
      this.#ipv4 += 1;
    }
    shard.addresses[cell] = address;
    shard.values[cell] = value;
  }

  delete(address: AddressKey): void {
    if (typeof address !== 'number') {
      this.#others.delete(address);
      return;
    }
    const hash = hashOf(address);
    const at = hash >>> SHARD_SHIFT;
    const shard = this.#shards[at];
    if (shard === undefined) return;
    const cell = cellOf(shard, address, hash);
    if (shard.values[cell] === EMPTY) return;
    this.#ipv4 -= 1;
    shard.count -= 1;
    if (shard.count === 0) this.#shards[at] = undefined;
    else {
      vacate(shard, cell);
      if (shard.count * 8 < shard.values.length && shard.values.length > FIRST_CELLS) resize(shard, shard.values.length / 2);
    }
  }

  /** Deletes the addresses that `isOver` accepts. It may set the address that it is asked about, and no other one. */
  deleteWhere(isOver: (address: AddressKey, value: number) => boolean): void {
    for (const shard of this.#shards) {
      if (shard === undefined) continue;
      const over: number[] = [];
      for (let cell = 0; cell < shard.values.length; cell += 1) {
        const [address, value] = [shard.addresses[cell] as number, shard.values[cell] as number];
        if (value !== EMPTY && isOver(address, value)) over.push(address);
      }
      for (const address of over) this.delete(address);
    }
    for (const [address, value] of this.#others) if (isOver(address, value)) this.#others.delete(address);
  }

  /** With room for one more. */
  #shardFor(hash: number): Shard {
    const at = hash >>> SHARD_SHIFT;
    const shard = this.#shards[at] ?? emptyShard();
    this.#shards[at] = shard;
    if ((shard.count + 1) * 4 > shard.values.length * 3) resize(shard, shard.values.length * 2);
    return shard;
  }
}

function emptyShard(): Shard {
  return { addresses: new Int32Array(FIRST_CELLS), values: new Int32Array(FIRST_CELLS).fill(EMPTY), count: 0 };
}

/** Another number for each address: no two meet but in the bits that are used. */
function hashOf(address: number): number {
  let hash = Math.imul(address ^ SEED, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The cell of the address, or the empty one where it would be. */
function cellOf({ addresses, values }: Shard, address: number, hash: number): number {
  const mask = values.length - 1;
  let cell = hash & mask;
  while (values[cell] !== EMPTY && addresses[cell] !== address) cell = (cell + 1) & mask;
  return cell;
}

function resize(shard: Shard, cells: number): void {
  const { addresses, values } = shard;
  shard.addresses = new Int32Array(cells);
  shard.values = new Int32Array(cells).fill(EMPTY);
  for (let from = 0; from < values.length; from += 1) {
    if (values[from] === EMPTY) continue;
    const address = addresses[from] as number;
    const to = cellOf(shard, address, hashOf(address));
    shard.addresses[to] = address;
    shard.values[to] = values[from] as number;
  }
}

/** Empties a cell, and moves those behind it that a search would no longer reach. */
function vacate({ addresses, values }: Shard, cell: number): void {
  const mask = values.length - 1;
  let hole = cell;
  for (let next = (hole + 1) & mask; values[next] !== EMPTY; next = (next + 1) & mask) {
    const distance = (next - (hashOf(addresses[next] as number) & mask)) & mask;
    if (distance < ((next - hole) & mask)) continue;
    addresses[hole] = addresses[next] as number;
    values[hole] = values[next] as number;
    hole = next;
  }
  values[hole] = EMPTY;
}
