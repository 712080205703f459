/**
 * Keys that share a fate: one section, or all single keys. Knows what is desired and what etcd holds, and
 * turns the difference into batches; sends nothing itself.
 *
 * A key always belongs to the same lane, and a lane has at most one batch under way, so the writes of a key never
 * overtake each other. When the turn of a key comes, the value written is the latest, and nothing is
 * written where etcd holds it already.
 */
import type { EtcdKey, KeyValue, LeaseId, Revision, TxnOperation } from '../etcd/types.ts';
import { LANES_PER_SECTION, MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../limits.ts';
import type { Logger } from '../log.ts';
import { digest } from './digest.ts';
import { ABSENT, FLAG_MOVE, FLAG_REFUSED, FLAG_REMOVE, KeyTable, type Slot, UNKNOWN } from './key-table.ts';
import { type Batch, Lane } from './lane.ts';
import { type LeasePool, UNLEASED } from './lease-pool.ts';
import { Rejections } from './rejections.ts';
import type { SlabStore } from './slab.ts';
import type { PublisherObserver, RejectReason } from './types.ts';

/** A lease with room for that many more keys. */
export interface LeaseRoom {
  readonly lease: number;
  readonly keys: number;
}

export interface KeyGroupOptions {
  readonly scope: string;
  readonly cluster: string;
  readonly prefix: EtcdKey | undefined;
  readonly owns: 'prefix' | 'leased';
  readonly slabs: SlabStore;
  readonly leases: LeasePool;
  readonly log: Logger;
  readonly observer: PublisherObserver;
  /** Something waits in `lane`. */
  readonly onPending: (lane: Lane) => void;
}

interface Marker {
  readonly targets: number[];
  readonly reached: () => void;
}

/** Bytes that an operation needs beyond its key and value: tags, lengths, lease. */
const OPERATION_OVERHEAD_BYTES = 32;

export class KeyGroup {
  readonly options: KeyGroupOptions;
  readonly table: KeyTable;
  readonly lanes: readonly Lane[];
  readonly #sent = { low: 0, high: 0 };
  readonly #rejections: Rejections;
  #markers: Marker[] = [];
  #known = false;

  constructor(options: KeyGroupOptions, lanes = LANES_PER_SECTION) {
    this.options = options;
    this.table = new KeyTable(options.slabs);
    this.lanes = Array.from({ length: lanes }, () => new Lane());
    this.#rejections = new Rejections(options);
  }

  /** What etcd holds is known; until then nothing may be written. */
  get isKnown(): boolean {
    return this.#known;
  }

  get pendingCount(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.enqueued - lane.settled, 0);
  }

  /** `key` shall have `value`; returns its slot, or undefined where it was refused (counted, and logged once a key). */
  desire(key: EtcdKey, value: Uint8Array): Slot | undefined {
    const reason = this.#refusal(key, value);
    if (reason !== undefined) {
      this.#rejections.reject(key, value.length, reason);
      return undefined;
    }
    const slot = this.table.ensure(key);
    const changed = this.table.desire(slot, value);
    this.#clearFlag(slot, changed ? FLAG_REMOVE | FLAG_REFUSED : FLAG_REMOVE);
    if (changed) this.enqueue(slot);
    return slot;
  }

  /** `key` shall not exist. */
  undesire(key: EtcdKey): void {
    const slot = this.table.slotOf(key);
    if (slot === undefined) return;
    this.table.undesire(slot);
    this.requestRemoval(slot);
  }

  /** Removes the key whether or not it is known to exist. */
  removeUnseen(key: EtcdKey): void {
    const slot = this.table.ensure(key);
    this.table.undesire(slot);
    if (this.table.revision[slot] === ABSENT) this.table.revision[slot] = UNKNOWN;
    this.requestRemoval(slot);
  }

  /** Nothing is desired under the key any more, and what etcd holds is left alone. */
  abandon(key: EtcdKey): void {
    const slot = this.table.slotOf(key);
    if (slot === undefined) return;
    this.table.undesire(slot);
    this.#clearFlag(slot, FLAG_REMOVE);
    this.#observeAbsent(slot);
    this.#releaseIdle(slot);
  }

  /** Removes the key from etcd, unless it is not ours to remove. */
  requestRemoval(slot: Slot): void {
    this.#setFlag(slot, FLAG_REMOVE);
    this.enqueue(slot);
  }

  /** Moves the key to a lease of ours. */
  requestMove(slot: Slot): void {
    this.#setFlag(slot, FLAG_MOVE);
    this.enqueue(slot);
  }

  /** The slot is looked at again when its lane has its turn. */
  enqueue(slot: Slot): void {
    const lane = this.#laneOf(slot);
    lane.add(slot);
    if (this.#known) this.options.onPending(lane);
  }

  /** True where the key is desired and does not hang on a lease of ours. */
  needsMove(slot: Slot): boolean {
    return this.table.isDesired(slot) && !this.options.leases.isOurs(this.table.lease[slot] ?? UNLEASED);
  }

  isMoving(slot: Slot): boolean {
    return this.#laneOf(slot).isMoving(slot);
  }

  /** Whether a key that is not desired may be removed at all. */
  isRemovable(slot: Slot): boolean {
    return this.options.owns === 'prefix' || this.options.leases.isOurs(this.table.lease[slot] ?? UNLEASED);
  }

  /** What etcd holds is not known (any more). Only to be called while no batch is under way. */
  forget(): void {
    this.#known = false;
    for (const slot of this.table.slots()) this.#observeAbsent(slot);
  }

  /** What etcd holds is known now: whatever differs waits to be written. */
  known(): void {
    this.#known = true;
    for (const slot of this.table.slots()) {
      if (this.#action(slot) !== 'none') this.enqueue(slot);
      else this.#releaseIdle(slot);
    }
    for (const lane of this.lanes) if (lane.pending.size > 0) this.options.onPending(lane);
    this.#reach();
  }

  /** etcd holds `keyValue`. */
  observe(keyValue: KeyValue): Slot {
    const slot = this.table.ensure(keyValue.key);
    const lease = this.options.leases.indexOf(keyValue.lease);
    this.options.leases.moved(this.table.lease[slot] ?? UNLEASED, lease);
    this.table.observe(slot, keyValue.value, keyValue.modRevision, lease);
    return slot;
  }

  /** etcd deleted the key at `revision`. True where it was desired: somebody else did it, and it is put right. */
  observeDeletion(key: EtcdKey, revision: Revision): boolean {
    const slot = this.#untouched(key, revision);
    if (slot === undefined) return false;
    this.#observeAbsent(slot);
    if (this.table.isDesired(slot)) {
      this.enqueue(slot);
      return true;
    }
    this.#releaseIdle(slot);
    return false;
  }

  /** Somebody put the key. True where that was not us and it is put right. */
  observePut(keyValue: KeyValue): boolean {
    const slot = this.#untouched(keyValue.key, keyValue.modRevision);
    if (slot === undefined) return false;
    this.observe(keyValue);
    if (!this.table.isDesired(slot) || (this.table.holdsDesired(slot) && !this.needsMove(slot))) return false;
    this.requestMove(slot);
    return true;
  }

  /** The lease is gone: its keys are, or will be. Returns how many desired keys that concerns. */
  leaseLost(index: number): number {
    let affected = 0;
    for (const slot of this.table.slots()) {
      if (this.table.lease[slot] !== index) continue;
      this.#observeAbsent(slot);
      if (!this.table.isDesired(slot)) continue;
      affected += 1;
      this.enqueue(slot);
    }
    return affected;
  }

  /** How many of the next `maxOperations` keys need a lease, at most: those that hang on none of ours. */
  countUnleased(lane: Lane, maxOperations: number): number {
    let count = 0;
    let seen = 0;
    for (const slot of lane.pending) {
      if (this.needsMove(slot)) count += 1;
      seen += 1;
      if (seen >= maxOperations) break;
    }
    return count;
  }

  /**
   * The next transaction of `lane`: at most `maxOperations` and about `maxBytes`, and no more keys that need a lease
   * than `room` has; undefined where nothing that waits makes a difference. Its values are views, good until the
   * next change of the table: the transaction is to be encoded at once.
   */
  take(lane: Lane, maxOperations: number, maxBytes: number, room: LeaseRoom): Batch | undefined {
    const slots: Slot[] = [];
    const operations: TxnOperation[] = [];
    const digests: number[] = [];
    let bytes = 0;
    let unleased = 0;
    for (const slot of lane.pending) {
      const action = this.#action(slot);
      if (action === 'none') {
        lane.drop(slot, operations.length > 0);
        this.#releaseIdle(slot);
        continue;
      }
      const key = this.table.key(slot);
      bytes += key.length + (action === 'put' ? this.table.value(slot).length : 0) + OPERATION_OVERHEAD_BYTES;
      if (operations.length > 0 && bytes > maxBytes) break;
      if (action === 'put' && this.needsMove(slot)) {
        if (unleased >= room.keys) break;
        unleased += 1;
      }
      operations.push(action === 'put' ? this.#put(slot, key, room.lease) : { type: 'delete', key });
      digests.push(this.#sent.low, this.#sent.high);
      slots.push(slot);
      if (operations.length >= maxOperations) break;
    }
    this.#reach();
    return operations.length === 0 ? undefined : lane.begin(slots, operations, Uint32Array.from(digests));
  }

  /** The batch was written at `revision`. */
  confirm(batch: Batch, revision: Revision): void {
    for (const [i, slot] of batch.slots.entries()) {
      const operation = batch.operations[i];
      if (operation?.type === 'put') this.#confirmPut(batch, i, operation.lease, revision);
      else this.#observeAbsent(slot);
      if ((batch.touches.get(slot) ?? 0) > revision) {
        this.#observeAbsent(slot);
        this.enqueue(slot);
      }
    }
    this.#finish(batch);
  }

  /** The batch failed, and it cannot be told whether it was written: its keys wait again. */
  fail(batch: Batch): void {
    for (const slot of batch.slots) this.table.revision[slot] = UNKNOWN;
    batch.lane.requeue(batch);
    const at = this.lanes.indexOf(batch.lane);
    // Nobody waits for more than what waits: keys that waited twice do so once from here on.
    for (const { targets } of this.#markers) targets[at] = Math.min(targets[at] ?? 0, batch.lane.enqueued);
  }

  /** etcd refuses the only key of the batch for good: counted, and left as it is until its value changes. */
  refuse(batch: Batch, reason: RejectReason): void {
    for (const slot of batch.slots) {
      this.#rejections.reject(this.table.key(slot), this.table.isDesired(slot) ? this.table.value(slot).length : 0, reason);
      this.#setFlag(slot, FLAG_REFUSED);
    }
    this.#finish(batch);
  }

  /** Calls `reached` once everything that waits now is settled. Returns a function that gives up waiting. */
  whenSettled(reached: () => void): () => void {
    const marker: Marker = { targets: this.lanes.map((lane) => lane.enqueued), reached };
    this.#markers.push(marker);
    this.#reach();
    return () => {
      this.#markers = this.#markers.filter((other) => other !== marker);
    };
  }

  #put(slot: Slot, key: EtcdKey, fresh: number): TxnOperation {
    const { leases } = this.options;
    const current = this.table.lease[slot] ?? UNLEASED;
    const lease = leases.isOurs(current) ? current : fresh;
    leases.moved(current, lease);
    this.table.lease[slot] = lease;
    this.#clearFlag(slot, FLAG_MOVE);
    const value = this.table.value(slot);
    digest(value, this.#sent);
    return { type: 'put', key, value, lease: leases.id(lease) };
  }

  #confirmPut({ slots, digests }: Batch, index: number, sentLease: LeaseId, revision: Revision): void {
    const slot = slots[index] as Slot;
    const lease = this.table.lease[slot] ?? UNLEASED;
    if (this.options.leases.id(lease) !== sentLease) {
      // Its lease was lost while the write was under way: the key is gone with it.
      this.#observeAbsent(slot);
      this.enqueue(slot);
      return;
    }
    this.table.observeDigest(slot, digests[2 * index] as number, digests[2 * index + 1] as number, revision, lease);
  }

  #finish(batch: Batch): void {
    batch.lane.finish(batch);
    for (const slot of batch.slots) this.#releaseIdle(slot);
    this.#reach();
  }

  #action(slot: Slot): 'put' | 'delete' | 'none' {
    const { table } = this;
    if (table.isDesired(slot)) {
      if (this.#hasFlag(slot, FLAG_REFUSED)) return 'none';
      if (!table.holdsDesired(slot)) return 'put';
      return this.#hasFlag(slot, FLAG_MOVE) && this.needsMove(slot) ? 'put' : 'none';
    }
    if (table.revision[slot] === ABSENT || !this.#hasFlag(slot, FLAG_REMOVE)) return 'none';
    return this.isRemovable(slot) ? 'delete' : 'none';
  }

  /**
   * The slot of a key of which something new was seen at `revision`; undefined where it is unknown or that is old news.
   * A key that is being written is judged when the answer comes.
   */
  #untouched(key: EtcdKey, revision: Revision): Slot | undefined {
    const slot = this.table.slotOf(key);
    if (slot === undefined || revision <= (this.table.revision[slot] as number)) return undefined;
    const lane = this.#laneOf(slot);
    if (!lane.isInFlight(slot)) return slot;
    lane.inFlight?.touches.set(slot, revision);
    return undefined;
  }

  #observeAbsent(slot: Slot): void {
    this.options.leases.moved(this.table.lease[slot] ?? UNLEASED, UNLEASED);
    this.table.lease[slot] = UNLEASED;
    this.table.revision[slot] = ABSENT;
  }

  #releaseIdle(slot: Slot): void {
    if (!this.isMoving(slot)) this.table.releaseIfEmpty(slot);
  }

  #reach(): void {
    if (this.#markers.length === 0) return;
    const isReached = ({ targets }: Marker) => this.lanes.every((lane, i) => lane.settled >= (targets[i] ?? 0));
    const reached = this.#markers.filter(isReached);
    if (reached.length === 0) return;
    this.#markers = this.#markers.filter((marker) => !reached.includes(marker));
    for (const marker of reached) marker.reached();
  }

  #refusal(key: EtcdKey, value: Uint8Array): RejectReason | undefined {
    const { prefix } = this.options;
    if (prefix !== undefined && (!key.startsWith(prefix) || key.length === prefix.length)) return 'outside_prefix';
    if (key.length === 0 || key.length > MAX_KEY_BYTES) return 'key_too_large';
    return value.length > MAX_VALUE_BYTES ? 'value_too_large' : undefined;
  }

  #laneOf(slot: Slot): Lane {
    return this.lanes[slot % this.lanes.length] as Lane;
  }

  #hasFlag(slot: Slot, flag: number): boolean {
    return ((this.table.flags[slot] as number) & flag) !== 0;
  }

  #setFlag(slot: Slot, flag: number): void {
    this.table.flags[slot] = (this.table.flags[slot] as number) | flag;
  }

  #clearFlag(slot: Slot, flag: number): void {
    this.table.flags[slot] = (this.table.flags[slot] as number) & ~flag;
  }
}
