/**
 * The operations of one transaction, and the meaning of its response.
 *
 * Until the response a key may change: another value, a removal, an external write. A response refers to what was
 * sent, hence it is compared with the batch and never with what is desired when it arrives.
 */
import type { EtcdKey, Revision, TxnOperation } from '../../etcd/types.ts';
import { digest } from '../store/digest.ts';
import { FLAG_ABANDONED, FLAG_MOVE, FLAG_REFUSED, FLAG_REMOVE, type KeyTable, type Slot, UNKNOWN } from '../store/key-table.ts';
import type { Touch } from '../store/touch.ts';
import type { PublisherObserver, RejectReason, RepairReason } from '../types.ts';
import type { Batch, Lane } from './lane.ts';
import type { LeasePool, LeaseRoom } from './lease-pool.ts';
import type { Rejections } from './rejections.ts';
import type { Settlement } from './settlement.ts';

/** The source of keys for batches. */
export interface BatchedKeys {
  readonly options: {
    readonly leases: LeasePool;
    readonly observer: PublisherObserver;
    readonly mayPut?: (key: EtcdKey) => boolean;
  };
  readonly table: KeyTable;
  readonly settlement: Settlement;
  readonly rejections: Rejections;
  readonly isReleased: boolean;
  action(slot: Slot): 'put' | 'delete' | 'none';
  needsMove(slot: Slot): boolean;
  enqueue(slot: Slot): void;
  observeAbsent(slot: Slot): void;
  applyTo(slot: Slot, touch: Touch): RepairReason | undefined;
  vanished(slot: Slot, wasThere: boolean): boolean;
  abandon(key: EtcdKey): void;
}

export interface BatchBounds {
  readonly operations: number;
  /** About so many bytes of keys and values. */
  readonly bytes: number;
}

/** Bytes that an operation needs beyond its key and value: tags, lengths, lease. */
const OPERATION_OVERHEAD_BYTES = 32;

/** Keys, and bytes of values, that are checked for one batch: if etcd has all of them already, the batch stays empty. */
const MAX_LOOKED_AT = 2000;
const MAX_LOOKED_AT_BYTES = 1024 * 1024;

/** How many of the next `operations` keys of `lane` need a lease, at most: those that are not attached to one of ours. */
export function countUnleased(keys: BatchedKeys, lane: Lane, operations: number): number {
  return lane.countAhead(operations, (slot) => keys.needsMove(slot));
}

/** See KeyGroup.take. */
export function takeBatch(keys: BatchedKeys, lane: Lane, bounds: BatchBounds, room: LeaseRoom): Batch | undefined {
  const { table, settlement } = keys;
  const draft = new Draft(keys, room.lease, bounds.operations);
  let unleased = 0;
  let lookedAt = 0;
  let lookedAtBytes = 0;
  for (let slot = lane.first; slot !== undefined && draft.size < bounds.operations; slot = lane.first) {
    if (lookedAt >= MAX_LOOKED_AT || lookedAtBytes >= MAX_LOOKED_AT_BYTES) break;
    lookedAt += 1;
    if (table.isDesired(slot)) lookedAtBytes += table.valueBytes(slot);
    const action = keys.action(slot);
    if (action === 'none') {
      lane.dropFirst();
      table.releaseIfEmpty(slot);
      continue;
    }
    if (draft.size > 0 && draft.bytes + bytesOf(table, slot, action) > bounds.bytes) break;
    const isUnleased = action === 'put' && keys.needsMove(slot);
    if (isUnleased && unleased >= room.keys) break;
    if (action === 'put' && keys.options.mayPut?.(table.key(slot)) === false) {
      // Its turn comes again once it is desired again.
      keys.abandon(table.key(slot));
      continue;
    }
    if (isUnleased) unleased += 1;
    draft.add(slot, action);
    lane.takeFirst();
  }
  settlement.reach();
  return draft.size === 0 ? undefined : lane.begin(draft.finished({ lease: room.lease, keys: unleased }));
}

/** See KeyGroup.confirm. */
export function confirmBatch(keys: BatchedKeys, batch: Batch, revision: Revision): void {
  const { leases } = keys.options;
  batch.lane.finish(batch);
  leases.release(batch.room.lease, batch.room.keys);
  if (!keys.isReleased) for (let at = 0; at < batch.slots.length; at += 1) confirmOne(keys, batch, at, revision);
  keys.settlement.reach();
}

/** See KeyGroup.fail. */
export function failBatch(keys: BatchedKeys, batch: Batch, isRefused: boolean): void {
  keys.options.leases.release(batch.room.lease, batch.room.keys);
  batch.lane.requeue();
  if (keys.isReleased) return;
  for (const slot of batch.slots) {
    if (!isRefused) keys.table.revision[slot] = UNKNOWN;
    endFlight(keys, batch, slot, keys.table.revision[slot] as number);
  }
}

/** See KeyGroup.refuse. */
export function refuseBatch(keys: BatchedKeys, batch: Batch, reason: RejectReason): void {
  const { table, options, rejections } = keys;
  batch.lane.finish(batch);
  options.leases.release(batch.room.lease, batch.room.keys);
  if (keys.isReleased) return;
  for (const [at, slot] of batch.slots.entries()) {
    const operation = batch.operations[at] as TxnOperation;
    rejections.reject(operation.key, operation.type === 'put' ? operation.value.length : 0, reason);
    // A newer state of the key was not rejected, and is queued already.
    if (operation.type === 'delete') table.clear(slot, table.isDesired(slot) ? 0 : FLAG_REMOVE);
    else if (table.desires(slot, digestAt(batch, at, 0), digestAt(batch, at, 1))) table.set(slot, FLAG_REFUSED);
    options.leases.need(table.lease[slot] as number);
    endFlight(keys, batch, slot, table.revision[slot] as number);
  }
  keys.settlement.reach();
}

/** The operations of a batch under construction, `most` at most. */
class Draft {
  readonly #keys: BatchedKeys;
  readonly #fresh: number;
  readonly #sent = { low: 0, high: 0 };
  readonly #slots: Slot[] = [];
  readonly #operations: TxnOperation[] = [];
  readonly #digests: Uint32Array;
  readonly #leases: Uint32Array;
  bytes = 0;

  constructor(keys: BatchedKeys, fresh: number, most: number) {
    this.#keys = keys;
    this.#fresh = fresh;
    this.#digests = new Uint32Array(2 * most);
    this.#leases = new Uint32Array(most);
  }

  get size(): number {
    return this.#slots.length;
  }

  add(slot: Slot, action: 'put' | 'delete'): void {
    const { table, options } = this.#keys;
    const at = this.size;
    const key = table.key(slot);
    const current = table.lease[slot] as number;
    const lease = options.leases.isOurs(current) ? current : this.#fresh;
    this.bytes += bytesOf(table, slot, action);
    this.#slots.push(slot);
    this.#leases[at] = lease;
    if (action === 'delete') {
      this.#operations.push({ type: 'delete', key });
      return;
    }
    const value = table.value(slot);
    digest(value, this.#sent);
    this.#digests[2 * at] = this.#sent.low;
    this.#digests[2 * at + 1] = this.#sent.high;
    this.#operations.push({ type: 'put', key, value, lease: options.leases.id(lease) });
  }

  finished(room: LeaseRoom): Omit<Batch, 'lane' | 'touches'> {
    return { slots: this.#slots, operations: this.#operations, digests: this.#digests, leases: this.#leases, room };
  }
}

function confirmOne(keys: BatchedKeys, batch: Batch, at: number, revision: Revision): void {
  const slot = batch.slots[at] as Slot;
  const operation = batch.operations[at] as TxnOperation;
  if (operation.type === 'delete') keys.observeAbsent(slot);
  else confirmPut(keys, batch, at, revision);
  endFlight(keys, batch, slot, revision);
}

function confirmPut(keys: BatchedKeys, batch: Batch, at: number, revision: Revision): void {
  const { table, options } = keys;
  const slot = batch.slots[at] as Slot;
  const operation = batch.operations[at] as TxnOperation;
  const lease = batch.leases[at] as number;
  if (operation.type === 'put' && options.leases.id(lease) !== operation.lease) {
    // The lease was lost during the write: the key was deleted with it.
    keys.vanished(slot, true);
    return;
  }
  options.leases.moved(table.lease[slot] as number, lease);
  table.observeDigest(slot, digestAt(batch, at, 0), digestAt(batch, at, 1), revision, lease);
  if (options.leases.isOurs(lease)) table.clear(slot, FLAG_MOVE);
}

/** Records the response for the key: later changes count too, unless the key was abandoned. */
function endFlight(keys: BatchedKeys, batch: Batch, slot: Slot, revision: number): void {
  const { table } = keys;
  if (table.has(slot, FLAG_ABANDONED)) {
    table.clear(slot, FLAG_ABANDONED);
    keys.observeAbsent(slot);
  } else {
    settleTouched(keys, batch, slot, revision);
  }
  table.releaseIfEmpty(slot);
}

/** What others did to the key after `revision`. */
function settleTouched(keys: BatchedKeys, batch: Batch, slot: Slot, revision: number): void {
  const touch = batch.touches.get(slot);
  // With an unknown outcome the order of that change and the write is unknown; the key is written again anyway.
  if (touch === undefined || touch.revision <= revision || revision === UNKNOWN) return;
  const reason = keys.applyTo(slot, touch);
  if (reason !== undefined) keys.options.observer.repair(reason, 1);
}

function digestAt(batch: Batch, at: number, word: 0 | 1): number {
  return batch.digests[2 * at + word] as number;
}

function bytesOf(table: KeyTable, slot: Slot, action: 'put' | 'delete'): number {
  return table.keyBytes(slot) + (action === 'put' ? table.valueBytes(slot) : 0) + OPERATION_OVERHEAD_BYTES;
}
