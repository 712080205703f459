/**
 * Keys to slots, in many small hash tables of numbers.
 *
 * A Map of strings takes three times the memory, leaves as much garbage while it grows, and one of a million keys blocks for a tenth of
 * a second each time. The keys themselves are kept by the owner of the slots.
 *
 * Each process uses its own random numbers, so that a remote cannot choose keys that meet in one place.
 */
import { randomBytes } from 'node:crypto';
import type { EtcdKey } from '../../etcd/types.ts';

const SHARDS = 64;
const SHARD_SHIFT = 26;
const FIRST_CELLS = 8;

const random = randomBytes(8);
const SEED = random.readUInt32LE(0);
/** Odd: no factor makes bits of the hash disappear. */
const FACTOR = random.readUInt32LE(4) | 1;

/** An open table with linear probing: at most three quarters of its cells are in use. */
interface Shard {
  /** Slot + 1; 0 is an empty cell. */
  slots: Uint32Array;
  /** The hash of the key of each cell in use. */
  hashes: Uint32Array;
  count: number;
}

export class KeyIndex {
  readonly #keyOf: (slot: number) => EtcdKey | undefined;
  readonly #shards = new Array<Shard | undefined>(SHARDS);
  #lastKey: EtcdKey | undefined;
  #lastHash = 0;

  /** `keyOf` returns the key of a slot that was set here. */
  constructor(keyOf: (slot: number) => EtcdKey | undefined) {
    this.#keyOf = keyOf;
  }

  get(key: EtcdKey): number | undefined {
    const hash = this.#hash(key);
    const shard = this.#shards[hash >>> SHARD_SHIFT];
    if (shard === undefined) return undefined;
    const found = shard.slots[this.#cellOf(shard, key, hash)] as number;
    return found === 0 ? undefined : found - 1;
  }

  /** The owner has `key` in `slot` already. */
  set(key: EtcdKey, slot: number): void {
    const hash = this.#hash(key);
    const shard = this.#shardFor(hash);
    const cell = this.#cellOf(shard, key, hash);
    if (shard.slots[cell] === 0) shard.count += 1;
    shard.slots[cell] = slot + 1;
    shard.hashes[cell] = hash;
  }

  /** Call it before the owner forgets the key. */
  delete(key: EtcdKey): void {
    const hash = this.#hash(key);
    const at = hash >>> SHARD_SHIFT;
    const shard = this.#shards[at];
    if (shard === undefined) return;
    const cell = this.#cellOf(shard, key, hash);
    if (shard.slots[cell] === 0) return;
    shard.count -= 1;
    if (shard.count === 0) this.#shards[at] = undefined;
    else {
      vacate(shard, cell);
      if (shard.count * 8 < shard.slots.length && shard.slots.length > FIRST_CELLS) resize(shard, shard.slots.length / 2);
    }
  }

  /** With room for one more. */
  #shardFor(hash: number): Shard {
    const at = hash >>> SHARD_SHIFT;
    const shard = this.#shards[at] ?? { slots: new Uint32Array(FIRST_CELLS), hashes: new Uint32Array(FIRST_CELLS), count: 0 };
    this.#shards[at] = shard;
    if ((shard.count + 1) * 4 > shard.slots.length * 3) resize(shard, shard.slots.length * 2);
    return shard;
  }

  /** The cell of the key, or the empty one where it would be. */
  #cellOf({ slots, hashes }: Shard, key: EtcdKey, hash: number): number {
    const mask = slots.length - 1;
    for (let cell = hash & mask; ; cell = (cell + 1) & mask) {
      const slot = slots[cell] as number;
      if (slot === 0 || (hashes[cell] === hash && this.#keyOf(slot - 1) === key)) return cell;
    }
  }

  /** A key is looked up several times in a row. */
  #hash(key: EtcdKey): number {
    if (key === this.#lastKey) return this.#lastHash;
    let hash = SEED;
    for (let i = 0; i < key.length; i += 1) {
      hash = Math.imul(hash ^ key.charCodeAt(i), FACTOR);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    this.#lastKey = key;
    this.#lastHash = (hash ^ (hash >>> 13)) >>> 0;
    return this.#lastHash;
  }
}

function resize(shard: Shard, cells: number): void {
  const { slots, hashes } = shard;
  const mask = cells - 1;
  shard.slots = new Uint32Array(cells);
  shard.hashes = new Uint32Array(cells);
  for (let from = 0; from < slots.length; from += 1) {
    if (slots[from] === 0) continue;
    const hash = hashes[from] as number;
    let to = hash & mask;
    while (shard.slots[to] !== 0) to = (to + 1) & mask;
    shard.slots[to] = slots[from] as number;
    shard.hashes[to] = hash;
  }
}

/** Empties a cell, and moves those behind it that a search would no longer reach. */
function vacate({ slots, hashes }: Shard, cell: number): void {
  const mask = slots.length - 1;
  let hole = cell;
  for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
    const distance = (next - ((hashes[next] as number) & mask)) & mask;
    if (distance < ((next - hole) & mask)) continue;
    slots[hole] = slots[next] as number;
    hashes[hole] = hashes[next] as number;
    hole = next;
  }
  slots[hole] = 0;
}
