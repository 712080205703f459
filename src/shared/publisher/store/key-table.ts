/**
 * The keys of one section: the desired state, and the known state of etcd.
 *
 * One slot per key, columns instead of objects, and the bytes of a key without the prefix of all lie before its value. So a key costs
 * these bytes, its value and about 60 bytes more, and there is nothing for a collection to visit. The state of etcd is known by digest, mod revision and lease, never by value.
 */
import type { EtcdKey, Revision } from '../../etcd/types.ts';
import { type Columns, columnsOf, NO_COLUMNS, resized } from './columns.ts';
import { type Digest, digest } from './digest.ts';
import { KeyIndex } from './key-index.ts';
import type { SlabStore } from './slab.ts';

export type Slot = number;

/** `revision` of a key that does not exist in etcd. */
export const ABSENT = 0;
/** `revision` of a key with an unknown state: a write was sent and its response never arrived. */
export const UNKNOWN = -1;

/** A removal was requested, or the key was found stale, and it may be removed. */
export const FLAG_REMOVE = 1;
/** The key must move to a lease of ours although its value is right. */
export const FLAG_MOVE = 2;
/** etcd refused the desired value for good. */
export const FLAG_REFUSED = 4;
/** The source has named the key without a value: what etcd holds stays. Never of a key that is desired. */
export const FLAG_KEPT = 8;
/** The slot waits in its lane, at its place. */
export const FLAG_PENDING = 16;
/** The slot is part of the batch that its lane writes. */
export const FLAG_IN_FLIGHT = 32;
/** The audit in progress has found the key. */
export const FLAG_SEEN = 64;
/** The key was abandoned while it was being written: the response is ignored for it. */
export const FLAG_ABANDONED = 128;

/** Of a table with a key. With hundreds of remote clusters there are thousands of tables with none or few. */
const FIRST_CAPACITY = 16;

/** Slots moved at a time while a table shrinks. */
const MOVES_PER_STEP = 256;

/** The length of the value where none is desired, and of the key where the slot is not used. */
const NOTHING = 0xffffffff;

export class KeyTable {
  readonly #slabs: SlabStore;
  readonly #prefix: string;
  readonly #index: KeyIndex;
  readonly #scratch: Digest = { low: 0, high: 0 };
  #freeSlots: Slot[] = [];
  #capacity = 0;
  #end: Slot = 0;
  /** While the table shrinks: slots from here on are not used again. */
  #limit = Number.POSITIVE_INFINITY;
  #block = NO_COLUMNS.block;
  /** Without the prefix: 0 for a key that is the prefix. */
  #keyLength = NO_COLUMNS.keyLength;
  #valueLength = NO_COLUMNS.valueLength;
  #digestLow = NO_COLUMNS.digestLow;
  #digestHigh = NO_COLUMNS.digestHigh;
  #desired = 0;
  #desiredBytes = 0;
  #kept = 0;
  #keptBytes = 0;

  /** Mod revision in etcd, ABSENT or UNKNOWN. */
  revision = NO_COLUMNS.revision;
  /** Index into the lease pool; 0 is no lease. */
  lease = NO_COLUMNS.lease;
  /** The listing that last named the key. */
  listing = NO_COLUMNS.listing;
  /** The number of its entry in its lane. */
  place = NO_COLUMNS.place;
  flags = NO_COLUMNS.flags;
  /** Walks over the slots in progress: until they end no key changes its slot. */
  walks = 0;

  /** All keys start with `prefix`. */
  constructor(slabs: SlabStore, prefix = '') {
    this.#slabs = slabs;
    this.#prefix = prefix;
    const from = prefix.length;
    this.#index = new KeyIndex(
      (slot, key) => this.#keyLength[slot] === key.length - from && slabs.startsWith(this.#block[slot] as number, key, from),
      from,
    );
  }

  /** Keys desired. */
  get desiredCount(): number {
    return this.#desired;
  }

  /** Bytes of the keys desired and of their values. */
  get desiredBytes(): number {
    return this.#desiredBytes;
  }

  /** Keys that stay as etcd holds them. */
  get keptCount(): number {
    return this.#kept;
  }

  /** Bytes of these keys. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Every slot in use is below it. */
  get end(): Slot {
    return this.#end;
  }

  slotOf(key: EtcdKey): Slot | undefined {
    return key.startsWith(this.#prefix) ? this.#index.get(key) : undefined;
  }

  /**
   * The slot of `key`, made where there was none: then nothing is desired and etcd holds nothing. `valueBytes`: room for a
   * value that will be desired at once.
   */
  ensure(key: EtcdKey, valueBytes = 0): Slot {
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const slot = this.#freeSlots.pop() ?? this.#end;
    if (slot >= this.#capacity) this.#resize(Math.max(FIRST_CAPACITY, this.#capacity * 2));
    if (slot === this.#end) this.#end += 1;
    const length = key.length - this.#prefix.length;
    const block = this.#slabs.allocate(length + valueBytes);
    this.#slabs.writeText(block, key, this.#prefix.length);
    this.#block[slot] = block;
    this.#keyLength[slot] = length;
    this.#index.set(key, slot);
    return slot;
  }

  /** The key of a slot in use. Made at each call. */
  key(slot: Slot): EtcdKey {
    return (this.#prefix + this.#slabs.text(this.#block[slot] as number, this.#keyLength[slot] as number)) as EtcdKey;
  }

  /** Bytes of the key. */
  keyBytes(slot: Slot): number {
    return this.#prefix.length + (this.#keyLength[slot] as number);
  }

  isUsed(slot: Slot): boolean {
    return (this.#keyLength[slot] ?? NOTHING) !== NOTHING;
  }

  /** All slots in use, in no particular order. Slots may be released while iterating. For few keys; see KeyGroup.walk. */
  *slots(): IterableIterator<Slot> {
    for (let slot = 0; slot < this.#end; slot += 1) if (this.isUsed(slot)) yield slot;
  }

  has(slot: Slot, flag: number): boolean {
    return ((this.flags[slot] as number) & flag) !== 0;
  }

  set(slot: Slot, flag: number): void {
    this.flags[slot] = (this.flags[slot] as number) | flag;
  }

  clear(slot: Slot, flag: number): void {
    this.flags[slot] = (this.flags[slot] as number) & ~flag;
  }

  isDesired(slot: Slot): boolean {
    return this.#valueLength[slot] !== NOTHING;
  }

  /** The desired value as a view, valid until it is replaced. */
  value(slot: Slot): Buffer {
    const from = this.#keyLength[slot] as number;
    return this.#slabs.view(this.#block[slot] as number, from, from + (this.#valueLength[slot] as number));
  }

  /** Bytes of the desired value; 0 where none is. */
  valueBytes(slot: Slot): number {
    return this.isDesired(slot) ? (this.#valueLength[slot] as number) : 0;
  }

  /** Desires `value`; false where it is desired already. */
  desire(slot: Slot, value: Uint8Array): boolean {
    this.unkeep(slot);
    if (this.isDesired(slot)) {
      if (this.#valueLength[slot] === value.length && this.value(slot).equals(value)) return false;
      this.#desiredBytes -= this.#valueLength[slot] as number;
    } else {
      this.#desired += 1;
      this.#desiredBytes += this.keyBytes(slot);
    }
    this.#reserve(slot, value.length);
    this.#slabs.write(this.#block[slot] as number, this.#keyLength[slot] as number, value);
    this.#valueLength[slot] = value.length;
    this.#desiredBytes += value.length;
    return true;
  }

  /** Nothing is desired under the key any more. */
  undesire(slot: Slot): void {
    if (!this.isDesired(slot)) return;
    this.#desired -= 1;
    this.#desiredBytes -= this.keyBytes(slot) + (this.#valueLength[slot] as number);
    this.#valueLength[slot] = NOTHING;
    this.#reserve(slot, 0);
  }

  /** The key stays as etcd holds it. Nothing may be desired under it. */
  keep(slot: Slot): void {
    if (this.has(slot, FLAG_KEPT)) return;
    this.set(slot, FLAG_KEPT);
    this.#kept += 1;
    this.#keptBytes += this.keyBytes(slot);
  }

  unkeep(slot: Slot): void {
    if (!this.has(slot, FLAG_KEPT)) return;
    this.clear(slot, FLAG_KEPT);
    this.#kept -= 1;
    this.#keptBytes -= this.keyBytes(slot);
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

  /** True if etcd has the desired bytes, according to the known state. */
  holdsDesired(slot: Slot): boolean {
    return (this.revision[slot] as number) > 0 && this.holds(slot, this.value(slot));
  }

  /** True if etcd has `value`, according to the known state. */
  holds(slot: Slot, value: Uint8Array): boolean {
    if ((this.revision[slot] as number) <= 0) return false;
    digest(value, this.#scratch);
    return this.#digestLow[slot] === this.#scratch.low && this.#digestHigh[slot] === this.#scratch.high;
  }

  /** True where the desired value has this digest. */
  desires(slot: Slot, low: number, high: number): boolean {
    if (!this.isDesired(slot)) return false;
    digest(this.value(slot), this.#scratch);
    return this.#scratch.low === low && this.#scratch.high === high;
  }

  /** Releases the slot if its key is neither desired nor in etcd, and nothing is queued or in flight for it. */
  releaseIfEmpty(slot: Slot): void {
    if (this.isDesired(slot) || this.revision[slot] !== ABSENT) return;
    if (this.has(slot, FLAG_KEPT | FLAG_PENDING | FLAG_IN_FLIGHT)) return;
    if (!this.isUsed(slot)) return;
    this.#free(slot);
    this.flags[slot] = 0;
    this.listing[slot] = 0;
    this.lease[slot] = 0;
    if (slot < this.#limit) this.#freeSlots.push(slot);
  }

  /** Releases the memory of the key and its value, whatever is queued or in flight for it. The slot is not used again. */
  drop(slot: Slot): void {
    this.undesire(slot);
    this.unkeep(slot);
    this.#free(slot);
  }

  /** Takes part in a compaction of the slabs: see there. */
  relocate(slot: Slot): void {
    const length = (this.#keyLength[slot] as number) + this.valueBytes(slot);
    this.#block[slot] = this.#slabs.relocate(this.#block[slot] as number, length);
  }

  /** Less than a quarter of what there is room for is in use. */
  get isSparse(): boolean {
    return this.#capacity > FIRST_CAPACITY && this.#used * 4 < this.#capacity;
  }

  /**
   * Moves the keys of the last slots to free ones, a few with each value of the iterator, and releases the remaining
   * memory. Between two values the table may change, but a new walk ends the iteration, as does a key that is
   * being written.
   */
  *shrink(): Generator<undefined, void> {
    const target = this.#capacity / 2;
    this.#limit = target;
    this.#freeSlots = this.#freeSlots.filter((slot) => slot < target);
    try {
      for (let moves = 1; this.#end > target && this.#vacateLast(); moves += 1) if (moves % MOVES_PER_STEP === 0) yield;
    } finally {
      this.#limit = Number.POSITIVE_INFINITY;
      if (this.#end <= target) this.#resize(target);
      else for (let slot = target; slot < this.#end; slot += 1) if (!this.isUsed(slot)) this.#freeSlots.push(slot);
    }
  }

  get #used(): number {
    return this.#end - this.#freeSlots.length;
  }

  /** False where the last slot cannot be vacated now. */
  #vacateLast(): boolean {
    const from = this.#end - 1;
    if (!this.isUsed(from)) {
      this.#end = from;
      return true;
    }
    if (this.has(from, FLAG_PENDING | FLAG_IN_FLIGHT)) return false;
    const to = this.#freeSlots.pop();
    if (to === undefined) return false;
    for (const column of this.#columns) column[to] = column[from] as number;
    this.#index.set(this.key(to), to);
    this.#end = from;
    for (const column of [this.#keyLength, this.#valueLength]) column[from] = NOTHING;
    for (const column of [this.revision, this.lease, this.listing, this.flags]) column[from] = 0;
    return true;
  }

  /** The block of the slot is the one for a value of `valueBytes`; its key stays, its value does not. */
  #reserve(slot: Slot, valueBytes: number): void {
    const block = this.#block[slot] as number;
    const keyLength = this.#keyLength[slot] as number;
    if (this.#slabs.fits(block, keyLength + valueBytes)) return;
    const reserved = this.#slabs.allocate(keyLength + valueBytes);
    this.#slabs.write(reserved, 0, this.#slabs.view(block, 0, keyLength));
    this.#slabs.free(block);
    this.#block[slot] = reserved;
  }

  #free(slot: Slot): void {
    this.#index.delete(this.key(slot));
    this.#slabs.free(this.#block[slot] as number);
    this.#keyLength[slot] = NOTHING;
  }

  get #columns(): Columns[keyof Columns][] {
    const { revision, lease, listing, place, flags } = this;
    return [
      this.#block,
      this.#keyLength,
      this.#valueLength,
      this.#digestLow,
      this.#digestHigh,
      revision,
      lease,
      listing,
      place,
      flags,
    ];
  }

  #resize(capacity: number): void {
    const before = this.#capacity;
    this.#capacity = capacity;
    const columns = columnsOf(capacity);
    this.#block = resized(this.#block, columns.block);
    this.#keyLength = resized(this.#keyLength, columns.keyLength);
    this.#valueLength = resized(this.#valueLength, columns.valueLength);
    if (capacity > before) for (const column of [this.#keyLength, this.#valueLength]) column.fill(NOTHING, before);
    this.#digestLow = resized(this.#digestLow, columns.digestLow);
    this.#digestHigh = resized(this.#digestHigh, columns.digestHigh);
    this.revision = resized(this.revision, columns.revision);
    this.lease = resized(this.lease, columns.lease);
    this.listing = resized(this.listing, columns.listing);
    this.place = resized(this.place, columns.place);
    this.flags = resized(this.flags, columns.flags);
  }
}
