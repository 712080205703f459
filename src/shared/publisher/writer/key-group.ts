/**
 * The keys of one section, or all single keys. Tracks the desired state and the state of etcd, and
 * turns the difference into batches; sends nothing itself.
 *
 * A key always uses the same lane while it is queued, and a lane has at most one batch in flight, so the writes of a key
 * are never reordered. When a key is taken from the queue, its latest value is written, and nothing is
 * written if etcd has it already.
 */

import type { EtcdKey, KeyValue, Revision } from '../../etcd/types.ts';
import { LANES_PER_SECTION, MAX_BUFFERED_TOUCHES } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { systemClock } from '../../time/clock.ts';
import { Turns } from '../../time/turns.ts';
import {
  ABSENT,
  FLAG_ABANDONED,
  FLAG_IN_FLIGHT,
  FLAG_KEPT,
  FLAG_MOVE,
  FLAG_PENDING,
  FLAG_REFUSED,
  FLAG_REMOVE,
  KeyTable,
  type Slot,
} from '../store/key-table.ts';
import type { SlabStore } from '../store/slab.ts';
import { KeyReads, type Touch, TouchBuffer } from '../store/touch.ts';
import { walk } from '../store/walk.ts';
import type { PublisherObserver, RejectReason, RepairReason } from '../types.ts';
import { confirmBatch, failBatch, refuseBatch, takeBatch } from './batches.ts';
import { type Batch, Lane } from './lane.ts';
import { type LeasePool, type LeaseRoom, UNLEASED } from './lease-pool.ts';
import { Rejections } from './rejections.ts';
import { Settlement } from './settlement.ts';

export interface KeyGroupOptions {
  readonly scope: string;
  readonly cluster: string;
  readonly prefix: EtcdKey | undefined;
  readonly owns: 'prefix' | 'leased';
  /** See SectionOptions. */
  readonly canonical?: ((value: Uint8Array) => Uint8Array) | undefined;
  readonly slabs: SlabStore;
  readonly leases: LeasePool;
  readonly log: Logger;
  readonly observer: PublisherObserver;
  /** Something waits in `lane`. */
  readonly onPending: (lane: Lane) => void;
  /** A key that is desired vanished from etcd. True where that is taken care of; else it is written again. */
  readonly onVanished?: (key: EtcdKey) => boolean;
  /** A key is about to be put. False where it is too early for that: then the key is released. Called again for each attempt. */
  readonly mayPut?: (key: EtcdKey) => boolean;
  /** @default its own turns */
  readonly turns?: Turns;
}

const TOUCHES_PER_STEP = 1000;

export class KeyGroup {
  readonly options: KeyGroupOptions;
  readonly table: KeyTable;
  readonly lanes: readonly Lane[];
  readonly settlement: Settlement;
  readonly rejections: Rejections;
  readonly #turns: Turns;
  readonly #touches = new TouchBuffer(MAX_BUFFERED_TOUCHES);
  readonly #reads = new KeyReads();
  #known = false;
  /** It is being found out what differs from etcd. */
  #isHeld = true;
  #isReleased = false;
  #generation = 0;
  #losses = 0;

  constructor(options: KeyGroupOptions, lanes = LANES_PER_SECTION) {
    this.options = options;
    this.table = new KeyTable(options.slabs, options.prefix);
    this.#turns = options.turns ?? new Turns(systemClock);
    this.lanes = Array.from({ length: lanes }, () => new Lane(this.table));
    this.settlement = new Settlement(this.lanes);
    this.settlement.hold();
    this.rejections = new Rejections(options);
  }

  /** What etcd holds is known. */
  get isKnown(): boolean {
    return this.#known;
  }

  /** The differences from etcd are known too; nothing may be written before. */
  get isWritable(): boolean {
    return !this.#isHeld;
  }

  /** The keys are no longer used. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Another one whenever what etcd holds ceases to be known. */
  get generation(): number {
    return this.#generation;
  }

  /** Another one whenever keys that etcd held have to be written again, or what etcd holds ceases to be known. */
  get losses(): number {
    return this.#losses;
  }

  get pendingCount(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.pending, 0);
  }

  /** `key` shall have `value`; returns its slot, or undefined where it was refused (counted, and logged once a key). */
  desire(key: EtcdKey, value: Uint8Array): Slot | undefined {
    const reason = this.rejections.reasonFor(key, value);
    if (reason !== undefined) {
      this.rejections.reject(key, value.length, reason);
      return undefined;
    }
    const slot = this.table.ensure(key, value.length);
    const changed = this.table.desire(slot, value);
    this.table.clear(slot, FLAG_ABANDONED | FLAG_REMOVE | (changed ? FLAG_REFUSED : 0));
    if (changed) this.enqueue(slot);
    return slot;
  }

  /**
   * `key` keeps its state: its desired value if it has one, else the value in etcd, known or not yet. Returns its
   * slot; undefined if the key is neither desired nor in etcd, and if it lies outside the prefix.
   */
  keep(key: EtcdKey): Slot | undefined {
    if (!this.rejections.isWithinPrefix(key)) return undefined;
    let slot = this.table.slotOf(key);
    if (slot === undefined && !this.#known) slot = this.table.ensure(key);
    if (slot === undefined || this.table.isDesired(slot)) return slot;
    if (this.#known && this.table.revision[slot] === ABSENT && !this.table.has(slot, FLAG_IN_FLIGHT)) return undefined;
    this.table.clear(slot, FLAG_REMOVE);
    this.table.keep(slot);
    this.options.leases.need(this.table.lease[slot] as number);
    return slot;
  }

  /** `key` shall not exist. */
  undesire(key: EtcdKey): void {
    const slot = this.table.slotOf(key);
    if (slot !== undefined) this.dropStale(slot);
  }

  /** The key is stale. It is removed if it was ours by its source's word, or is ours to remove. */
  dropStale(slot: Slot): void {
    const { table } = this;
    const wasNamed = table.isDesired(slot) || table.has(slot, FLAG_KEPT);
    table.undesire(slot);
    table.unkeep(slot);
    if (wasNamed || table.has(slot, FLAG_IN_FLIGHT) || (table.revision[slot] !== ABSENT && this.#isRemovable(slot))) {
      table.set(slot, FLAG_REMOVE);
      this.enqueue(slot);
    }
  }

  /** Nothing is desired under the key any more, and what etcd holds is left alone. */
  abandon(key: EtcdKey): void {
    const slot = this.table.slotOf(key);
    if (slot === undefined) return;
    this.table.undesire(slot);
    this.table.unkeep(slot);
    this.table.clear(slot, FLAG_REMOVE | FLAG_MOVE);
    if (this.table.has(slot, FLAG_IN_FLIGHT)) this.table.set(slot, FLAG_ABANDONED);
    this.observeAbsent(slot);
    this.table.releaseIfEmpty(slot);
  }

  /** Moves the key to a lease of ours. */
  requestMove(slot: Slot): void {
    this.table.set(slot, FLAG_MOVE);
    this.enqueue(slot);
  }

  /** The slot is checked again in the turn of its lane. */
  enqueue(slot: Slot): void {
    const lane = this.#laneOf(slot);
    lane.add(slot);
    if (this.isWritable) this.options.onPending(lane);
  }

  /** True if the key is desired and not attached to a lease of ours. */
  needsMove(slot: Slot): boolean {
    return this.table.isDesired(slot) && !this.options.leases.isOurs(this.table.lease[slot] as number);
  }

  /** True while a write of the key is queued or in flight: states observed elsewhere may be older. */
  isMoving(slot: Slot): boolean {
    return this.table.has(slot, FLAG_PENDING | FLAG_IN_FLIGHT);
  }

  /** What etcd holds is not known (any more), until `known`. */
  unknown(): void {
    this.#generation += 1;
    this.#losses += 1;
    this.#touches.clear();
    this.#known = false;
    if (!this.#isHeld) this.settlement.hold();
    this.#isHeld = true;
    this.settlement.restart();
  }

  /** Discards the known state of etcd. Call only while it is unknown, and no batch is in flight. */
  async forget(): Promise<void> {
    await walk(this.table, this.#turns, (slot) => {
      this.observeAbsent(slot);
      // Another etcd may take what this one refused.
      this.table.clear(slot, FLAG_REFUSED);
    });
  }

  /**
   * The state of etcd is known from now on: differences are queued, after `visit` was called for each.
   * Resolves when that was done for all keys (a call returns early, after few of them); false if the state became
   * unknown again, or if too many keys changed during the read to trust it.
   */
  async known(visit: (slot: Slot) => void = () => undefined): Promise<boolean> {
    const generation = this.#generation;
    const isCurrent = () => this.#generation === generation && !this.#isReleased;
    if (this.#touches.isFull) return false;
    this.#known = true;
    for (let step = this.#touches.take(TOUCHES_PER_STEP); step.length > 0; step = this.#touches.take(TOUCHES_PER_STEP)) {
      for (const [key, touch] of step) this.touched(key, touch);
      if (!this.#turns.isOver()) continue;
      await this.#turns.turn();
      if (!isCurrent()) return false;
    }
    const settle = (slot: Slot) => {
      visit(slot);
      if (this.table.revision[slot] === ABSENT) this.table.unkeep(slot);
      if (this.action(slot) !== 'none') this.enqueue(slot);
      else this.table.releaseIfEmpty(slot);
    };
    const walked = walk(this.table, this.#turns, settle, isCurrent);
    if (walked !== true && !((await walked) && isCurrent())) return false;
    this.#isHeld = false;
    for (const lane of this.lanes) if (lane.size > 0) this.options.onPending(lane);
    this.settlement.unhold();
    return true;
  }

  /** etcd holds `keyValue`. */
  observe(keyValue: KeyValue): Slot {
    const slot = this.table.ensure(keyValue.key);
    const lease = this.options.leases.indexOf(keyValue.lease);
    this.options.leases.moved(this.table.lease[slot] as number, lease);
    const value = this.options.canonical?.(keyValue.value) ?? keyValue.value;
    this.table.observe(slot, value, keyValue.modRevision, lease);
    return slot;
  }

  /**
   * Records the response of `get` for `key`; observed changes are buffered until then, because the response may be older.
   * A key that was found is unchanged until it is desired or removed. False if the response is from another store.
   */
  async read(key: EtcdKey, get: () => Promise<KeyValue | undefined>): Promise<boolean> {
    const generation = this.#generation;
    const { keyValue, touch } = await this.#reads.read(key, get);
    if (this.#generation !== generation) return false;
    const slot = this.table.slotOf(key);
    // Before all is known nothing was sent that the answer could be older than, even where the key waits already.
    const isOlder = slot !== undefined && this.#known && this.isMoving(slot);
    const isNews = slot === undefined || (this.table.revision[slot] === ABSENT && !isOlder);
    if (keyValue !== undefined && isNews) {
      const observed = this.observe(keyValue);
      if (!this.table.isDesired(observed) && !this.table.has(observed, FLAG_REMOVE)) this.table.keep(observed);
    }
    if (touch !== undefined) this.touched(key, touch);
    return true;
  }

  /** The key is one of the group, or is being read. */
  isAbout(key: EtcdKey): boolean {
    return this.#reads.has(key) || this.table.slotOf(key) !== undefined;
  }

  /** A change of `key` was observed. Detects and repairs external changes. */
  touched(key: EtcdKey, touch: Touch): RepairReason | undefined {
    if (this.#reads.has(key)) this.#reads.add(key, touch);
    else if (this.#known) return this.#apply(key, touch);
    else this.#touches.add(key, touch);
    return undefined;
  }

  /** etcd holds nothing under the key. */
  observeAbsent(slot: Slot): void {
    this.options.leases.moved(this.table.lease[slot] as number, UNLEASED);
    this.table.lease[slot] = UNLEASED;
    this.table.revision[slot] = ABSENT;
    if (this.#known) this.table.unkeep(slot);
  }

  /** Leases are gone, and their keys are or will be. Returns how many of them are written again. */
  async dropLost(): Promise<number> {
    const { leases } = this.options;
    let repaired = 0;
    await walk(this.table, this.#turns, (slot) => {
      const lease = this.table.lease[slot] as number;
      if (lease !== UNLEASED && !leases.exists(lease) && this.vanished(slot)) repaired += 1;
    });
    return repaired;
  }

  /** Releases all keys and their memory. The keys in etcd stay. */
  async release(): Promise<void> {
    this.#isReleased = true;
    this.unknown();
    await walk(this.table, this.#turns, (slot) => {
      this.observeAbsent(slot);
      this.table.drop(slot);
    });
  }

  /**
   * The next transaction of `lane`: at most `maxOperations` and about `maxBytes`, and no more keys that need a lease
   * than `room` has; undefined if the checked keys make no difference, while more may be queued. Its
   * values are views, valid until the next change of the table: encode the transaction immediately.
   */
  take(lane: Lane, maxOperations: number, maxBytes: number, room: LeaseRoom): Batch | undefined {
    return takeBatch(this, lane, { operations: maxOperations, bytes: maxBytes }, room);
  }

  /** The batch was written at `revision`. */
  confirm(batch: Batch, revision: Revision): void {
    confirmBatch(this, batch, revision);
  }

  /** The batch failed: its keys are queued again. Unless `isRefused`, it may have been written. */
  fail(batch: Batch, isRefused = false): void {
    failBatch(this, batch, isRefused);
  }

  /** etcd refuses the batch for good: its values are counted, and what etcd holds is left as it is until they change. */
  refuse(batch: Batch, reason: RejectReason): void {
    refuseBatch(this, batch, reason);
  }

  /** See Settlement. */
  whenSettled(reached: () => void): () => void {
    return this.settlement.whenSettled(reached);
  }

  /** What is to be done about the key. */
  action(slot: Slot): 'put' | 'delete' | 'none' {
    const { table } = this;
    if (table.isDesired(slot)) {
      if (table.has(slot, FLAG_REFUSED)) return 'none';
      if (!table.holdsDesired(slot)) return 'put';
      return table.has(slot, FLAG_MOVE) && this.needsMove(slot) ? 'put' : 'none';
    }
    return table.has(slot, FLAG_REMOVE) && table.revision[slot] !== ABSENT ? 'delete' : 'none';
  }

  /** See `touched`; `touch` is not held back. */
  #apply(key: EtcdKey, touch: Touch): RepairReason | undefined {
    const { table } = this;
    const slot = table.slotOf(key);
    if (slot === undefined || touch.revision <= (table.revision[slot] as number)) return undefined;
    if (table.has(slot, FLAG_IN_FLIGHT)) {
      // It is compared when the response arrives.
      const { inFlight } = this.#laneOf(slot);
      if ((inFlight?.touches.get(slot)?.revision ?? 0) < touch.revision) inFlight?.touches.set(slot, touch);
      return undefined;
    }
    return this.applyTo(slot, touch);
  }

  /** `touch` is newer than all that is known of the key, which is not being written. */
  applyTo(slot: Slot, { revision, found }: Touch): RepairReason | undefined {
    const { table } = this;
    if (found === undefined) return this.vanished(slot) ? 'deleted' : undefined;
    const lease = this.options.leases.indexOf(found.lease);
    this.options.leases.moved(table.lease[slot] as number, lease);
    table.observeDigest(slot, found.low, found.high, revision, lease);
    if (!table.isDesired(slot) || table.has(slot, FLAG_REFUSED)) {
      const isBack = table.has(slot, FLAG_REMOVE);
      if (isBack) this.enqueue(slot);
      else this.options.leases.need(lease);
      return isBack ? 'foreign' : undefined;
    }
    if (table.holdsDesired(slot) && !this.needsMove(slot)) return undefined;
    this.requestMove(slot);
    return 'overwritten';
  }

  /** etcd does not hold the key any more. True where it is desired, and is written again. */
  vanished(slot: Slot, wasThere = this.table.revision[slot] !== ABSENT): boolean {
    const { table } = this;
    this.observeAbsent(slot);
    if (!table.isDesired(slot)) {
      table.releaseIfEmpty(slot);
      return false;
    }
    if (table.has(slot, FLAG_REFUSED)) return false;
    if (this.options.onVanished?.(table.key(slot)) === true) return true;
    this.enqueue(slot);
    if (wasThere) this.#lost();
    return true;
  }

  /** What was confirmed is so no longer; it waits to be written. */
  #lost(): void {
    this.#losses += 1;
    this.settlement.extend();
  }

  /** Whether a key that the source never named may be removed. */
  #isRemovable(slot: Slot): boolean {
    return this.options.owns === 'prefix' || this.options.leases.isOurs(this.table.lease[slot] as number);
  }

  #laneOf(slot: Slot): Lane {
    return this.lanes[slot % this.lanes.length] as Lane;
  }
}
