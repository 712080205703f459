/**
 * How many keys there are, from their additions and removals in any order, each perhaps repeated. A key takes 5 to 16 bytes: a
 * hash of 32 bits stands for it, so of a hundred thousand keys one may be left out.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import { MAX_COUNTED_KEYS } from './limits.ts';

const FIRST_SIZE = 64;
const EMPTY = 0;

/** Open addressing with linear probing; 0 is no key. */
class Hashes {
  #slots = new Uint32Array(FIRST_SIZE);
  size = 0;

  has(hash: number): boolean {
    return this.#slots[this.#slotOf(hash)] === hash;
  }

  add(hash: number): void {
    const slot = this.#slotOf(hash);
    if (this.#slots[slot] === hash) return;
    this.#slots[slot] = hash;
    this.size += 1;
    if (this.size * 4 > this.#slots.length * 3) this.#grow();
  }

  /** The hashes behind it move up where they belong. */
  delete(hash: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#slotOf(hash);
    if (slots[hole] !== hash) return false;
    this.size -= 1;
    for (let at = (hole + 1) & mask; slots[at] !== EMPTY; at = (at + 1) & mask) {
      const home = (slots[at] as number) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = slots[at] as number;
      hole = at;
    }
    slots[hole] = EMPTY;
    return true;
  }

  #slotOf(hash: number): number {
    const mask = this.#slots.length - 1;
    let at = hash & mask;
    while (this.#slots[at] !== EMPTY && this.#slots[at] !== hash) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const hash of before) if (hash !== EMPTY) this.#slots[this.#slotOf(hash)] = hash;
  }
}

export class KeyCount {
  #present = new Hashes();
  /** Of the listing before the one under way: they count until that is complete. */
  #before: Hashes | undefined;

  get size(): number {
    return this.#before === undefined ? this.#present.size : Math.max(this.#before.size, this.#present.size);
  }

  add(key: EtcdKey): void {
    if (this.#present.size < MAX_COUNTED_KEYS) this.#present.add(hashOf(key));
  }

  delete(key: EtcdKey): void {
    if (this.#present.size > 0) this.#present.delete(hashOf(key));
  }

  /** A listing begins: keys that it does not add are gone when it is complete. */
  begin(): void {
    this.#before ??= this.#present;
    this.#present = new Hashes();
  }

  listed(): void {
    this.#before = undefined;
  }
}

/** FNV-1a, mixed at the end because the lowest bits choose the slot. Never 0. */
function hashOf(key: EtcdKey): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x0100_0193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b_3c6d);
  return (hash ^ (hash >>> 13)) >>> 0 || 1;
}
