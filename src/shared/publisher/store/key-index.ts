/**
 * Keys to slots. The keys themselves are kept by the owner of the slots.
 *
 * Each process uses its own random numbers, so that a remote cannot choose keys that meet in one place.
 */
import { randomBytes } from 'node:crypto';
import type { EtcdKey } from '../../etcd/types.ts';
import { TagTable } from '../../tag-table.ts';

const random = randomBytes(8);
const SEED = random.readUInt32LE(0);
/** Odd: no factor makes bits of the hash disappear. */
const FACTOR = random.readUInt32LE(4) | 1;

export class KeyIndex {
  readonly #slots: TagTable<EtcdKey>;
  readonly #from: number;
  #lastKey: EtcdKey | undefined;
  #lastHash = 0;
  /** The slot of the last key, where it is known. */
  #lastSlot: number | undefined;

  /** `isOf`: the slot, which was set here, is that of `key`. All keys have the same first `from` characters. */
  constructor(isOf: (slot: number, key: EtcdKey) => boolean, from = 0) {
    this.#slots = new TagTable(isOf);
    this.#from = from;
  }

  get(key: EtcdKey): number | undefined {
    if (key !== this.#lastKey || this.#lastSlot === undefined) {
      const hash = this.#hash(key);
      this.#lastSlot = this.#slots.get(hash, key);
    }
    return this.#lastSlot;
  }

  /** The owner has `key` in `slot` already. */
  set(key: EtcdKey, slot: number): void {
    this.#slots.set(this.#hash(key), key, slot);
    this.#lastSlot = slot;
  }

  /** Call it before the owner forgets the key. */
  delete(key: EtcdKey): void {
    this.#slots.delete(this.#hash(key), key);
    this.#lastSlot = undefined;
  }

  /** A key is looked up several times in a row. */
  #hash(key: EtcdKey): number {
    if (key === this.#lastKey) return this.#lastHash;
    let hash = SEED;
    for (let i = this.#from; i < key.length; i += 1) {
      hash = Math.imul(hash ^ key.charCodeAt(i), FACTOR);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0x85ebca6b);
    this.#lastKey = key;
    this.#lastHash = (hash ^ (hash >>> 13)) >>> 0;
    return this.#lastHash;
  }
}
