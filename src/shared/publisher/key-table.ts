/**
 * The keys of one section: what is desired, and what etcd holds as far as we know.
 *
 * A slot a key, columns instead of objects, so that a key costs its own bytes, its value and about
 * 130 bytes more. What etcd holds is known by digest, mod revision and lease, never by value.
 */
import type { EtcdKey, Revision } from '../etcd/types.ts';
import { type Digest, digest } from './digest.ts';
import { NO_BLOCK, type SlabStore } from './slab.ts';

export type Slot = number;

/** `revision` of a key that etcd does not hold. */
export const ABSENT = 0;
/** `revision` of a key of which we can't tell: a write was sent and its answer never came. */
export const UNKNOWN = -1;

/** A removal was asked for, or the key was found stale. */
export const FLAG_REMOVE = 1;
/** The key shall move to a lease of ours although its value is right. */
export const FLAG_MOVE = 2;
/** etcd refused the desired value for good. */
export const FLAG_REFUSED = 4;

const FIRST_CAPACITY = 64;

export class KeyTable {
  readonly #slabs: SlabStore;
  readonly #index = new Map<EtcdKey, Slot>();
  readonly #keys: (EtcdKey | undefined)[] = [];
  readonly #freeSlots: Slot[] = [];
  readonly #scratch: Digest = { low: 0, high: 0 };
  #capacity = FIRST_CAPACITY;
  #block = new Float64Array(FIRST_CAPACITY).fill(NO_BLOCK);
  #length = new Uint32Array(FIRST_CAPACITY);
  #digestLow = new Uint32Array(FIRST_CAPACITY);
  #digestHigh = new Uint32Array(FIRST_CAPACITY);
  #desired = 0;
  #desiredBytes = 0;

  /** Mod revision in etcd, ABSENT or UNKNOWN. */
  revision = new Float64Array(FIRST_CAPACITY);
  /** Index into the lease pool; 0 is no lease. */
  lease = new Uint32Array(FIRST_CAPACITY);
  /** The listing that last named the key. */
  listing = new Uint32Array(FIRST_CAPACITY);
  flags = new Uint8Array(FIRST_CAPACITY);

  constructor(slabs: SlabStore) {
    this.#slabs = slabs;
  }

  /** Keys desired. */
  get desiredCount(): number {
    return this.#desired;
  }

  /** Bytes of the keys desired and of their values. */
  get desiredBytes(): number {
    return this.#desiredBytes;
  }

  slotOf(key: EtcdKey): Slot | undefined {
    return this.#index.get(key);
  }

  /** The slot of `key`, made where there was none: then nothing is desired and etcd holds nothing. */
  ensure(key: EtcdKey): Slot {
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const slot = this.#freeSlots.pop() ?? this.#keys.length;
    if (slot >= this.#capacity) this.#grow();
    this.#keys[slot] = key;
    this.#index.set(key, slot);
    return slot;
  }

  key(slot: Slot): EtcdKey {
    return this.#keys[slot] as EtcdKey;
  }

  /** All slots in use, in no particular order. Slots may be released while iterating. */
  *slots(): IterableIterator<Slot> {
    for (let slot = 0; slot < this.#keys.length; slot += 1) if (this.#keys[slot] !== undefined) yield slot;
  }

  isDesired(slot: Slot): boolean {
    return this.#block[slot] !== NO_BLOCK;
  }

  /** The desired value as a view, valid until it is replaced. */
  value(slot: Slot): Buffer {
    return this.#slabs.view(this.#block[slot] as number, this.#length[slot] as number);
  }

  /** Bytes of the desired value. */
  valueBytes(slot: Slot): number {
    return this.#length[slot] as number;
  }

  /** Desires `value`; false where it is desired already. */
  desire(slot: Slot, value: Uint8Array): boolean {
    if (this.isDesired(slot)) {
      if (this.#length[slot] === value.length && this.value(slot).equals(value)) return false;
      this.#slabs.free(this.#block[slot] as number);
      this.#desiredBytes -= this.#length[slot] as number;
    } else {
      this.#desired += 1;
      this.#desiredBytes += this.key(slot).length;
    }
    this.#block[slot] = this.#slabs.put(value);
    this.#length[slot] = value.length;
    this.#desiredBytes += value.length;
    return true;
  }

  /** Nothing is desired under the key any more. */
  undesire(slot: Slot): void {
    if (!this.isDesired(slot)) return;
    this.#slabs.free(this.#block[slot] as number);
    this.#block[slot] = NO_BLOCK;
    this.#desired -= 1;
    this.#desiredBytes -= this.key(slot).length + (this.#length[slot] as number);
  }

  /** Records what etcd holds. */
  observe(slot: Slot, value: Uint8Array, revision: Revision, lease: number): void {
    digest(value, this.#scratch);
    this.observeDigest(slot, this.#scratch.low, this.#scratch.high, revision, lease);
  }

  observeDigest(slot: Slot, low: number, high: number, revision: Revision, lease: number): void {
    this.#digestLow[slot] = low;
    this.#digestHigh[slot] = high;
    this.revision[slot] = revision;
    this.lease[slot] = lease;
  }

  /** True where etcd holds the desired bytes, as far as we know. */
  holdsDesired(slot: Slot): boolean {
    return this.holds(slot, this.value(slot));
  }

  /** True where etcd holds `value`, as far as we know. */
  holds(slot: Slot, value: Uint8Array): boolean {
    if ((this.revision[slot] as number) <= 0) return false;
    digest(value, this.#scratch);
    return this.#digestLow[slot] === this.#scratch.low && this.#digestHigh[slot] === this.#scratch.high;
  }

  /** Gives the slot back where neither we nor etcd have anything under its key. */
  releaseIfEmpty(slot: Slot): void {
    if (this.isDesired(slot) || this.revision[slot] !== ABSENT) return;
    const key = this.#keys[slot];
    if (key === undefined) return;
    this.#index.delete(key);
    this.#keys[slot] = undefined;
    this.flags[slot] = 0;
    this.listing[slot] = 0;
    this.lease[slot] = 0;
    this.#freeSlots.push(slot);
  }

  /** Frees every value: the table is not used any more. */
  dispose(): void {
    for (const slot of this.slots()) this.undesire(slot);
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#block = extended(this.#block, new Float64Array(this.#capacity).fill(NO_BLOCK));
    this.#length = extended(this.#length, new Uint32Array(this.#capacity));
    this.#digestLow = extended(this.#digestLow, new Uint32Array(this.#capacity));
    this.#digestHigh = extended(this.#digestHigh, new Uint32Array(this.#capacity));
    this.revision = extended(this.revision, new Float64Array(this.#capacity));
    this.lease = extended(this.lease, new Uint32Array(this.#capacity));
    this.listing = extended(this.listing, new Uint32Array(this.#capacity));
    this.flags = extended(this.flags, new Uint8Array(this.#capacity));
  }
}

function extended<T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
