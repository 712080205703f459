/**
 * A queue of keys of which one batch at most is being written.
 *
 * What waits is the key, not the change: a key waits once, at the place of its first change, however often it
 * changes meanwhile. Counting keys in and out tells when everything that waited at some moment is settled.
 */
import type { Revision, TxnOperation } from '../etcd/types.ts';
import type { Slot } from './key-table.ts';

/** What one transaction writes: slot i by operation i. */
export interface Batch {
  readonly lane: Lane;
  readonly slots: readonly Slot[];
  readonly operations: readonly TxnOperation[];
  /** Of the values that are put: two words for each slot. */
  readonly digests: Uint32Array;
  /** What others did to its keys while it was under way: its own revision decides what that means. */
  readonly touches: Map<Slot, Revision>;
}

export class Lane {
  /** Keys that wait, in the order of their first change. */
  readonly pending = new Set<Slot>();
  #inFlight: Batch | undefined;
  #enqueued = 0;
  #settled = 0;
  /** Keys dropped behind others that are under way: they count once those do, or what waited before them would seem settled. */
  #droppedBehind = 0;

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

  add(slot: Slot): void {
    if (this.pending.has(slot)) return;
    this.pending.add(slot);
    this.#enqueued += 1;
  }

  /** The key makes no difference (any more). `isBehind`: keys that waited before it go with the batch that is being made. */
  drop(slot: Slot, isBehind: boolean): void {
    this.pending.delete(slot);
    if (isBehind) this.#droppedBehind += 1;
    else this.#settled += 1;
  }

  begin(slots: readonly Slot[], operations: readonly TxnOperation[], digests: Uint32Array): Batch {
    for (const slot of slots) this.pending.delete(slot);
    this.#inFlight = { lane: this, slots, operations, digests, touches: new Map() };
    return this.#inFlight;
  }

  /** The batch is written, or refused for good. */
  finish(batch: Batch): void {
    this.#inFlight = undefined;
    this.#settled += batch.slots.length + this.#droppedBehind;
    this.#droppedBehind = 0;
  }

  /**
   * The batch is not written: its keys wait again, ahead of all others. `enqueued` goes back by those that changed meanwhile,
   * which wait already, and by those that were dropped behind the batch.
   */
  requeue(batch: Batch): void {
    this.#enqueued -= this.#droppedBehind;
    this.#droppedBehind = 0;
    for (const slot of batch.slots) if (this.pending.has(slot)) this.#enqueued -= 1;
    const waiting = [...this.pending];
    this.pending.clear();
    for (const slot of batch.slots) this.pending.add(slot);
    for (const slot of waiting) this.pending.add(slot);
    this.#inFlight = undefined;
  }

  /** True while something waits or is under way for the key: what is seen of it elsewhere may be older. */
  isMoving(slot: Slot): boolean {
    return this.pending.has(slot) || this.isInFlight(slot);
  }

  isInFlight(slot: Slot): boolean {
    return this.#inFlight?.slots.includes(slot) === true;
  }
}
