/**
 * Decides which lane writes next, and how to handle a failed transaction.
 *
 * While nothing is in flight a change is written immediately; while transactions are, changes are queued and written
 * together. Lanes take turns, so that no section starves another; sections in their first load come after
 * the steady ones, in the order of their ranks.
 */

import { asError, errorCode, isAbort } from '../../errors.ts';
import {
  ClusterChangedError,
  EtcdError,
  LeaseNotFoundError,
  NoSpaceError,
  PermissionDeniedError,
  RequestTooLargeError,
  TooManyOperationsError,
  TooManyRequestsError,
} from '../../etcd/errors.ts';
import { FenceRenewedError } from '../../etcd/fence-renewed-error.ts';
import { type EtcdClient, NO_REVISION, type Revision } from '../../etcd/types.ts';
import { MAX_TXN_BYTES, MAX_TXNS_IN_FLIGHT, PUBLISH_BACKOFF_MAX_MS, PUBLISH_BACKOFF_MIN_MS } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { Backoff } from '../../time/backoff.ts';
import type { Clock } from '../../time/clock.ts';
import { pauseUntilRecovered } from '../../time/recovery.ts';
import type { Turns } from '../../time/turns.ts';
import type { PublisherObserver, PublisherStats } from '../types.ts';
import { countUnleased } from './batches.ts';
import { Concurrency } from './concurrency.ts';
import type { KeyGroup } from './key-group.ts';
import type { Batch, Lane } from './lane.ts';
import { type LeasePool, type LeaseRoom, UNLEASED } from './lease-pool.ts';
import { waiters } from './waiters.ts';
import { type Scheduled, WaitingLanes } from './waiting-lanes.ts';

export interface SchedulerOptions {
  readonly client: EtcdClient;
  readonly leases: LeasePool;
  readonly keysPerLease: number;
  readonly maxOperations: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: PublisherObserver;
  readonly turns: Turns;
  readonly onStoreReplaced: (reason: string) => void;
  /** A transaction failed that etcd may carry out later; everything that was confirmed before is not newer than `confirmed`. */
  readonly onUnknownOutcome: (confirmed: Revision) => void;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #waiting = new WaitingLanes();
  readonly #backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
  readonly #concurrency = new Concurrency(MAX_TXNS_IN_FLIGHT);
  readonly #idle = waiters();
  readonly #busy = new Set<Lane>();
  /** Groups without write permission, and when they are retried. */
  readonly #denied = new Map<KeyGroup, { readonly backoff: Backoff; untilMs: number }>();
  #maxOperations: number;
  #maxBytes = MAX_TXN_BYTES;
  /** Resolves once it is known which leases are lost, of those that etcd did not know. */
  #asked: Promise<unknown> = Promise.resolve();
  #paused = true;
  /** The highest revision of a confirmed transaction. */
  #confirmed = NO_REVISION;
  #backingOff = false;
  #pumpQueued = false;
  /** When lanes that have to wait are looked at again; monotonic milliseconds. */
  #recheckMs = Number.POSITIVE_INFINITY;
  #failing: PublisherStats['failing'];
  #signal: AbortSignal | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#maxOperations = options.maxOperations;
  }

  get inFlight(): number {
    return this.#busy.size;
  }

  get failing(): PublisherStats['failing'] {
    return this.#failing;
  }

  start(signal: AbortSignal): void {
    this.#signal = signal;
  }

  /** Something waits in `lane`. */
  pending(lane: Lane, scheduled: Scheduled): void {
    if (this.#busy.has(lane)) return;
    this.#waiting.add(lane, scheduled);
    this.pump();
  }

  /** Starts no transaction until `resume`; resolves when none is in flight any more. */
  async pause(signal: AbortSignal): Promise<void> {
    this.#paused = true;
    while (this.#busy.size > 0) await this.#idle.wait(signal);
  }

  /** `known`: the revision of the store when what it holds is read. */
  resume(known: Revision): void {
    this.#confirmed = known;
    this.#paused = false;
    this.pump();
  }

  /** Removes the lanes of a group that is gone. */
  drop(group: KeyGroup): void {
    for (const lane of group.lanes) this.#waiting.delete(lane);
    this.#denied.delete(group);
  }

  /** Looks for work after the current turn of the event loop, so that changes of one turn are written together. */
  pump(): void {
    if (this.#pumpQueued) return;
    this.#pumpQueued = true;
    queueMicrotask(() => {
      this.#pumpQueued = false;
      this.#begin();
    });
  }

  #begin(): void {
    const signal = this.#signal;
    if (signal === undefined) return;
    while (!this.#paused && !this.#backingOff && !signal.aborted && this.#busy.size < this.#concurrency.limit) {
      const next = this.#next();
      if (next === undefined) return;
      const [lane, scheduled] = next;
      this.#busy.add(lane);
      void this.#run(lane, scheduled, signal);
    }
  }

  #next(): [Lane, Scheduled] | undefined {
    let leastMs = Number.POSITIVE_INFINITY;
    const next = this.#waiting.next((scheduled) => {
      const waitMs = Math.max(scheduled.heldMs(), this.#deniedMs(scheduled.group));
      if (waitMs <= 0) return true;
      leastMs = Math.min(leastMs, waitMs);
      return false;
    });
    if (next === undefined && leastMs < Number.POSITIVE_INFINITY) this.#recheckIn(leastMs);
    return next;
  }

  async #run(lane: Lane, scheduled: Scheduled, signal: AbortSignal): Promise<void> {
    const { group } = scheduled;
    let batch: Batch | undefined;
    try {
      if (this.#options.turns.isOver()) await this.#options.turns.turn();
      const room = await this.#reserve(group, lane, signal);
      // Nothing may come between these two: the batch has views of values that may change with the next turn.
      batch = group.isWritable ? group.take(lane, this.#maxOperations, this.#maxBytes, room) : undefined;
      this.#options.leases.release(room.lease, room.keys - (batch?.room.keys ?? 0));
      if (batch !== undefined) await this.#commit(group, batch, signal);
      // Many keys were checked and all of them are in etcd already.
      else if (lane.size > 0) await this.#options.turns.turn();
    } catch (thrown) {
      const error = asError(thrown);
      if (batch !== undefined) this.#end(group, batch, error);
      if (!isAbort(thrown, signal)) this.#failed(group, batch, error, signal);
    }
    this.#busy.delete(lane);
    if (lane.size > 0 && group.isWritable) this.#waiting.add(lane, scheduled);
    if (this.#busy.size === 0) this.#idle.wake();
    this.pump();
  }

  /** The batch is no longer in flight: unwritten keys are queued again, and invalid ones are rejected. */
  #end(group: KeyGroup, batch: Batch, error: Error): void {
    if (error instanceof RequestTooLargeError && batch.operations.length === 1) group.refuse(batch, 'value_too_large');
    else group.fail(batch, isRefusal(error));
    if (!(error instanceof EtcdError && error.changesNothing)) this.#options.onUnknownOutcome(this.#confirmed);
  }

  /** Room on a lease for those of the next keys that need one. */
  async #reserve(group: KeyGroup, lane: Lane, signal: AbortSignal): Promise<LeaseRoom> {
    const { leases, keysPerLease } = this.#options;
    const keys = Math.min(countUnleased(group, lane, this.#maxOperations), keysPerLease);
    return { lease: keys === 0 ? UNLEASED : await leases.reserve(keys, signal), keys };
  }

  async #commit(group: KeyGroup, batch: Batch, signal: AbortSignal): Promise<void> {
    const { client, clock, observer } = this.#options;
    const startMs = clock.monotonicMs();
    observer.transaction(batch.operations.length);
    const revision = await client.txn(batch.operations, { signal });
    if (revision > this.#confirmed) this.#confirmed = revision;
    group.confirm(batch, revision);
    this.#concurrency.success(clock.monotonicMs() - startMs);
    if (this.#showsRecovery(batch)) this.#recovered(group);
  }

  #failed(group: KeyGroup, batch: Batch | undefined, error: Error, signal: AbortSignal): void {
    const { observer, onStoreReplaced } = this.#options;
    // No fault: its keys are queued again and written at once.
    if (error instanceof FenceRenewedError) return;
    observer.syncError(group.options.scope, group.options.cluster, error);
    if (error instanceof TooManyOperationsError && this.#maxOperations > 1) {
      this.#maxOperations = Math.max(1, (batch?.operations.length ?? this.#maxOperations) >> 1);
      return;
    }
    if (error instanceof RequestTooLargeError && batch !== undefined) {
      // Half of the operations per transaction from now on; a single key that is too large is rejected.
      if (batch.operations.length > 1) this.#maxBytes = Math.max(1, batchBytes(batch) >> 1);
      return;
    }
    if (error instanceof ClusterChangedError) onStoreReplaced(error.message);
    if (error instanceof TooManyRequestsError) this.#concurrency.overload();
    this.#logFailing(group, error);
    if (error instanceof PermissionDeniedError) {
      this.#deny(group);
      return;
    }
    if (error instanceof LeaseNotFoundError) this.#asked = Promise.all([this.#asked, this.#findLostLeases(signal)]);
    this.#backOff(signal);
  }

  /** Nothing else can be written either: one wait for all, until all lost leases are known too; then a single transaction probes. */
  #backOff(signal: AbortSignal): void {
    if (this.#backingOff) return;
    this.#backingOff = true;
    this.#concurrency.failure();
    const { client, clock } = this.#options;
    const wait = pauseUntilRecovered(client, this.#backoff.nextMs(), clock, signal);
    void wait
      .catch(() => undefined)
      .then(() => this.#asked)
      .then(() => {
        this.#backingOff = false;
        this.pump();
      });
  }

  /** Only this group is rejected: it waits, the others continue. */
  #deny(group: KeyGroup): void {
    const denied = this.#denied.get(group) ?? { backoff: new Backoff({ minMs: 1000, maxMs: 30_000 }), untilMs: 0 };
    this.#denied.set(group, denied);
    denied.untilMs = this.#options.clock.monotonicMs() + denied.backoff.nextMs();
  }

  /** Never rejects: if etcd cannot be queried, the next rejected write queries again. */
  async #findLostLeases(signal: AbortSignal): Promise<void> {
    const { leases, log } = this.#options;
    try {
      await leases.findLost(signal);
    } catch (thrown) {
      if (!signal.aborted) log.debug({ code: errorCode(thrown) }, 'cannot determine which lease was lost');
    }
  }

  #deniedMs(group: KeyGroup): number {
    return (this.#denied.get(group)?.untilMs ?? 0) - this.#options.clock.monotonicMs();
  }

  #recheckIn(ms: number): void {
    const { clock } = this.#options;
    const atMs = clock.monotonicMs() + ms;
    if (this.#signal === undefined || this.#recheckMs <= atMs) return;
    this.#recheckMs = atMs;
    void clock
      .sleep(ms, this.#signal)
      .catch(() => undefined)
      .finally(() => {
        if (this.#recheckMs === atMs) this.#recheckMs = Number.POSITIVE_INFINITY;
        this.pump();
      });
  }

  #logFailing({ options: { scope, cluster } }: KeyGroup, error: Error): void {
    const { clock, log } = this.#options;
    if (this.#failing !== undefined && errorCode(this.#failing.error) === errorCode(error)) return;
    this.#failing = { sinceMs: this.#failing?.sinceMs ?? clock.monotonicMs(), error };
    const fields = { code: errorCode(error), error: error.message, scope, cluster };
    log.warn(fields, 'writes to the local etcd are failing; retrying');
  }

  /** An etcd that is out of space accepts deletions: their success does not mean recovery while puts are queued. */
  #showsRecovery(batch: Batch): boolean {
    if (!(this.#failing?.error instanceof NoSpaceError)) return true;
    if (batch.operations.some(({ type }) => type === 'put')) return true;
    return this.#busy.size === 1 && this.#waiting.isEmpty && batch.lane.size === 0;
  }

  #recovered(group: KeyGroup): void {
    this.#backoff.reset();
    this.#denied.delete(group);
    if (this.#failing === undefined || this.#denied.size > 0) return;
    const failedForMs = Math.round(this.#options.clock.monotonicMs() - this.#failing.sinceMs);
    this.#failing = undefined;
    this.#options.log.info({ failedForMs }, 'writes to the local etcd succeed again');
  }
}

/** The response of etcd guarantees that nothing was applied, and says nothing else about the state of the keys. */
function isRefusal(error: Error): boolean {
  return (
    error instanceof RequestTooLargeError ||
    error instanceof TooManyOperationsError ||
    error instanceof PermissionDeniedError ||
    error instanceof FenceRenewedError
  );
}

function batchBytes(batch: Batch): number {
  return batch.operations.reduce(
    (sum, operation) => sum + operation.key.length + (operation.type === 'put' ? operation.value.length : 0),
    0,
  );
}
