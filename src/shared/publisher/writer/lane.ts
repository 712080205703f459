/**
 * A queue of keys of which at most one batch is being written.
 *
 * What waits is the key, not the change: a key waits once, with the ticket of its first change, however often it changes.
 * Tickets increase, so everything that waited at some moment is settled once all lower tickets are.
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
  /** External changes to its keys during the write: the revision of the write decides what they mean. */
  readonly touches: Map<Slot, Touch>;
}

const FIRST_CAPACITY = 16;

/** Of a lane where nothing waits: there are thousands of them with hundreds of remote clusters. */
const NO_RING = new Uint32Array(0);

export class Lane {
  readonly #table: KeyTable;
  /**
   * A ring of slots, by ticket. An entry counts where its slot waits and has its ticket as its place; others are left over
   * from keys that were dropped, or that wait again at an earlier place.
   */
  #ring = NO_RING;
  /** The first ticket of the batch that is being made or written; that of the first key that waits, where there is none. */
  #tail = 0;
  /** No key waits with a lower ticket. */
  #head = 0;
  #nextTicket = 0;
  #waiting = 0;
  /** Keys of the batch that is being made or written. */
  #taken = 0;
  #inFlight: Batch | undefined;

  constructor(table: KeyTable) {
    this.#table = table;
  }

  /** Keys that wait. */
  get size(): number {
    return this.#waiting;
  }

  /** Keys that wait or are being written. */
  get pending(): number {
    return this.#waiting + this.#taken;
  }

  get inFlight(): Batch | undefined {
    return this.#inFlight;
  }

  /** The ticket of the next key that begins to wait. Tickets only increase. */
  get nextTicket(): number {
    return this.#nextTicket;
  }

  /** All keys with a lower ticket are settled: written, refused, or without a difference. */
  get settledTickets(): number {
    if (this.#taken === 0) this.#skip();
    return this.#tail;
  }

  /** The first key that waits. */
  get first(): Slot | undefined {
    this.#skip();
    return this.#head < this.#nextTicket ? this.#slotAt(this.#head) : undefined;
  }

  /** How many of the first `count` keys that wait `matches` accepts. */
  countAhead(count: number, matches: (slot: Slot) => boolean): number {
    let left = count;
    let found = 0;
    for (let ticket = this.#head; ticket < this.#nextTicket && left > 0; ticket += 1) {
      if (!this.#counts(ticket)) continue;
      left -= 1;
      if (matches(this.#slotAt(ticket))) found += 1;
    }
    return found;
  }

  add(slot: Slot): void {
    if (this.#has(slot, FLAG_PENDING)) return;
    this.#set(slot, FLAG_PENDING);
    if (this.#nextTicket - this.#tail === this.#ring.length) this.#grow();
    this.#ring[this.#nextTicket & (this.#ring.length - 1)] = slot;
    this.#table.place[slot] = this.#nextTicket;
    this.#nextTicket += 1;
    this.#waiting += 1;
  }

  /** The first key makes no difference (any more). */
  dropFirst(): void {
    this.#shift();
  }

  /** The first key goes with the batch that is being made. */
  takeFirst(): void {
    this.#set(this.first as Slot, FLAG_IN_FLIGHT);
    this.#taken += 1;
    this.#shift();
  }

  begin(batch: Omit<Batch, 'lane' | 'touches'>): Batch {
    this.#inFlight = { ...batch, lane: this, touches: new Map() };
    return this.#inFlight;
  }

  /** The batch is written, or refused for good. */
  finish(batch: Batch): void {
    for (const slot of batch.slots) this.#clear(slot, FLAG_IN_FLIGHT);
    this.#inFlight = undefined;
    this.#taken = 0;
    this.#release();
  }

  /** The batch is not written: its keys wait again with their old tickets, also those that changed and wait already. */
  requeue(): void {
    for (let ticket = this.#tail; ticket < this.#head; ticket += 1) {
      const slot = this.#slotAt(ticket);
      if (!this.#has(slot, FLAG_IN_FLIGHT)) continue;
      this.#clear(slot, FLAG_IN_FLIGHT);
      if (!this.#has(slot, FLAG_PENDING)) this.#waiting += 1;
      this.#set(slot, FLAG_PENDING);
      this.#table.place[slot] = ticket;
    }
    this.#inFlight = undefined;
    this.#taken = 0;
    this.#head = this.#tail;
  }

  /** Passes over entries that do not count. */
  #skip(): void {
    while (this.#head < this.#nextTicket && !this.#counts(this.#head)) this.#head += 1;
    if (this.#taken === 0) this.#release();
  }

  #shift(): void {
    this.#clear(this.first as Slot, FLAG_PENDING);
    this.#waiting -= 1;
    this.#head += 1;
    if (this.#taken === 0) this.#release();
  }

  /** Nothing below the head is needed any more. */
  #release(): void {
    this.#tail = this.#head;
    if (this.#tail === this.#nextTicket && this.#ring.length > FIRST_CAPACITY) this.#ring = NO_RING;
  }

  #slotAt(ticket: number): Slot {
    return this.#ring[ticket & (this.#ring.length - 1)] as Slot;
  }

  /** Places are tickets of 32 bits, and fewer keys than that wait at a time. */
  #counts(ticket: number): boolean {
    const slot = this.#slotAt(ticket);
    return this.#has(slot, FLAG_PENDING) && this.#table.place[slot] === ticket >>> 0;
  }

  #grow(): void {
    const grown = new Uint32Array(Math.max(FIRST_CAPACITY, this.#ring.length * 2));
    for (let ticket = this.#tail; ticket < this.#nextTicket; ticket += 1) {
      grown[ticket & (grown.length - 1)] = this.#slotAt(ticket);
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
