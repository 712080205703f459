/**
 * A queue of keys of which one batch at most is being written.
 *
 * What waits is the key, not the change: a key waits once, at the place of its first change, however often it
 * changes meanwhile. Counting keys in and out tells when everything that waited at some moment is settled.
 */
import type { TxnOperation } from '../../etcd/types.ts';
import { FLAG_IN_FLIGHT, FLAG_PENDING, type KeyTable, type Slot } from '../store/key-table.ts';
import type { Touch } from '../store/touch.ts';
import type { LeaseRoom } from './lease-pool.ts';

/** What one transaction writes: slot i by operation i. */
export interface Batch {
  readonly lane: Lane;
  readonly slots: readonly Slot[];
  readonly operations: readonly TxnOperation[];
  /** Of the values that are put: two words for each slot. */
  readonly digests: Uint32Array;
  /** The lease, as an index into the pool, that each slot hangs on once its value is put. */
  readonly leases: Uint32Array;
  /** Room on a lease that its keys take up once they are written. */
  readonly room: LeaseRoom;
  /** What others did to its keys while it was under way: its own revision decides what that means. */
  readonly touches: Map<Slot, Touch>;
}

const FIRST_CAPACITY = 64;

export class Lane {
  readonly #table: KeyTable;
  /**
   * A ring of slots. Each entry has a number, one more than that before it; it counts where its slot names this number as
   * its place. Others are left over from slots that were moved to the front.
   */
  #ring = new Uint32Array(FIRST_CAPACITY);
  #head = 0;
  #entries = 0;
  #waiting = 0;
  #inFlight: Batch | undefined;
  #enqueued = 0;
  #settled = 0;
  /** Keys dropped behind others that are under way: they count once those do, or what waited before them would seem settled. */
  #droppedBehind = 0;

  constructor(table: KeyTable) {
    this.#table = table;
  }

  /** Keys that wait. */
  get size(): number {
    return this.#waiting;
  }

  get inFlight(): Batch | undefined {
    return this.#inFlight;
  }

  /** Keys that ever began to wait; what is settled is compared with it. One that waits twice after a failure counts once. */
  get enqueued(): number {
    return this.#enqueued;
  }

  get settled(): number {
    return this.#settled;
  }

  /** The first key that waits. */
  get first(): Slot | undefined {
    while (this.#entries > 0 && !this.#counts(this.#head)) this.#dropEntry();
    return this.#entries > 0 ? this.#slotAt(this.#head) : undefined;
  }

  /** The first keys that wait, at most `count`. */
  *ahead(count: number): IterableIterator<Slot> {
    let left = count;
    for (let i = 0; i < this.#entries && left > 0; i += 1) {
      const number = (this.#head + i) >>> 0;
      if (!this.#counts(number)) continue;
      left -= 1;
      yield this.#slotAt(number);
    }
  }

  add(slot: Slot): void {
    if (this.#has(slot, FLAG_PENDING)) return;
    this.#set(slot, FLAG_PENDING);
    if (this.#entries === this.#ring.length) this.#grow();
    this.#place(slot, (this.#head + this.#entries) >>> 0);
    this.#waiting += 1;
    this.#enqueued += 1;
  }

  /** The first key makes no difference (any more). `isBehind`: keys that waited before it go with the batch that is being made. */
  dropFirst(isBehind: boolean): void {
    this.#shift();
    if (isBehind) this.#droppedBehind += 1;
    else this.#settled += 1;
  }

  /** The first key goes with the batch that is being made. */
  takeFirst(): void {
    const slot = this.#shift();
    this.#set(slot, FLAG_IN_FLIGHT);
  }

  begin(batch: Omit<Batch, 'lane' | 'touches'>): Batch {
    this.#inFlight = { ...batch, lane: this, touches: new Map() };
    return this.#inFlight;
  }

  /** The batch is written, or refused for good. */
  finish(batch: Batch): void {
    for (const slot of batch.slots) this.#clear(slot, FLAG_IN_FLIGHT);
    this.#inFlight = undefined;
    this.#settled += batch.slots.length + this.#droppedBehind;
    this.#droppedBehind = 0;
  }

  /**
   * The batch is not written: its keys wait again, ahead of all others. `enqueued` goes back by those that changed meanwhile,
   * which wait already, and by those that were dropped behind the batch.
   */
  requeue(batch: Batch): void {
    this.#inFlight = undefined;
    this.#enqueued -= this.#droppedBehind;
    this.#droppedBehind = 0;
    for (const slot of batch.slots.toReversed()) {
      this.#clear(slot, FLAG_IN_FLIGHT);
      if (this.#has(slot, FLAG_PENDING)) {
        this.#enqueued -= 1;
        this.#waiting -= 1;
      }
      this.#set(slot, FLAG_PENDING);
      if (this.#entries === this.#ring.length) this.#grow();
      this.#head = (this.#head - 1) >>> 0;
      this.#place(slot, this.#head);
      this.#waiting += 1;
    }
  }

  #shift(): Slot {
    const slot = this.first as Slot;
    this.#dropEntry();
    this.#clear(slot, FLAG_PENDING);
    this.#waiting -= 1;
    return slot;
  }

  #dropEntry(): void {
    this.#head = (this.#head + 1) >>> 0;
    this.#entries -= 1;
    if (this.#entries === 0 && this.#ring.length > FIRST_CAPACITY) this.#ring = new Uint32Array(FIRST_CAPACITY);
  }

  #place(slot: Slot, number: number): void {
    this.#ring[number & (this.#ring.length - 1)] = slot;
    this.#table.place[slot] = number;
    this.#entries += 1;
  }

  #slotAt(number: number): Slot {
    return this.#ring[number & (this.#ring.length - 1)] as Slot;
  }

  #counts(number: number): boolean {
    const slot = this.#slotAt(number);
    return this.#has(slot, FLAG_PENDING) && this.#table.place[slot] === number;
  }

  #grow(): void {
    const grown = new Uint32Array(this.#ring.length * 2);
    for (let i = 0; i < this.#entries; i += 1) {
      const number = (this.#head + i) >>> 0;
      grown[number & (grown.length - 1)] = this.#slotAt(number);
    }
    this.#ring = grown;
  }

  #has(slot: Slot, flag: number): boolean {
    return ((this.#table.flags[slot] as number) & flag) !== 0;
  }

  #set(slot: Slot, flag: number): void {
    this.#table.flags[slot] = (this.#table.flags[slot] as number) | flag;
  }

  #clear(slot: Slot, flag: number): void {
    this.#table.flags[slot] = (this.#table.flags[slot] as number) & ~flag;
  }
}
