/**
 * The leases of the published keys.
 *
 * Keys are spread: a lease has a limited number of them, since old etcd slows down with many and a
 * lost lease then affects few keys. Leases found on keys of an earlier run are adopted (kept alive by
 * their ID), so that a restart need not write a single key. A lease with another TTL than the
 * configured one is kept alive only until its keys have moved.
 *
 * The rest of the publisher uses the index of a lease: small, and never reused.
 */

import { type EtcdClient, type LeaseId, NO_LEASE } from '../../etcd/types.ts';
import type { Logger } from '../../process/log.ts';

/** Questions about leases at a time, after a write failed because one was lost. */
const MAX_LEASE_QUERIES = 16;

/** Index of "no lease". */
export const UNLEASED = 0;

/** A lease with room for that many more keys. */
export interface LeaseRoom {
  readonly lease: number;
  readonly keys: number;
}

interface Lease {
  id: LeaseId;
  /** Attached keys of ours, according to the known state. */
  keys: number;
  /** `ours`: takes new keys. `moving`: kept alive until its keys have moved. `foreign`: not touched. */
  kind: 'ours' | 'moving' | 'foreign';
  stopKeeping: () => void;
}

export interface LeasePoolOptions {
  readonly client: EtcdClient;
  readonly ttlSeconds: number;
  readonly keysPerLease: number;
  readonly log: Logger;
  /** A lease and its attached keys are gone: `exists` returns which. */
  readonly onLost: (id: LeaseId, keys: number) => void;
}

export class LeasePool {
  readonly #options: LeasePoolOptions;
  readonly #leases = new Map<number, Lease>();
  readonly #byId = new Map<LeaseId, number>();
  /** Leases that have to be kept alive for keys that cannot move, and are not yet. */
  readonly #needed = new Set<number>();
  #nextIndex = UNLEASED + 1;
  /** The lease with room for the last keys. */
  #filling: number | undefined;
  #granting: Promise<number> | undefined;
  #searching: Promise<void> | undefined;

  constructor(options: LeasePoolOptions) {
    this.#options = options;
  }

  /** Leases that are kept alive. */
  get count(): number {
    let count = 0;
    for (const { kind } of this.#leases.values()) if (kind !== 'foreign') count += 1;
    return count;
  }

  /** The index of a lease seen on a key; it is foreign until it is adopted. */
  indexOf(id: LeaseId): number {
    if (id === NO_LEASE) return UNLEASED;
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    return this.#add({ id, keys: 0, kind: 'foreign', stopKeeping: () => undefined });
  }

  id(index: number): LeaseId {
    return this.#leases.get(index)?.id ?? NO_LEASE;
  }

  /** True where the lease was granted by us, or by an earlier run for the same time. */
  isOurs(index: number): boolean {
    return this.#leases.get(index)?.kind === 'ours';
  }

  /** The same by ID. */
  hasOurs(id: LeaseId): boolean {
    const index = this.#byId.get(id);
    return index !== undefined && this.isOurs(index);
  }

  /** False where the lease is lost, and what hung on it with it. */
  exists(index: number): boolean {
    return this.#leases.has(index);
  }

  /** A key that cannot move is attached to the lease: it is kept alive from the next `adoptNeeded` on, whichever process granted it. */
  need(index: number): void {
    if (this.#leases.get(index)?.kind === 'foreign') this.#needed.add(index);
  }

  /** Adopts the leases that became needed; if that fails they stay needed. */
  async adoptNeeded(signal: AbortSignal): Promise<void> {
    for (const index of [...this.#needed]) {
      await this.adopt([index], () => true, signal);
      this.#needed.delete(index);
    }
  }

  /** A key hangs on `to`, or is about to, and no longer on `from`. */
  moved(from: number, to: number): void {
    if (from === to) return;
    const joined = this.#leases.get(to);
    if (joined !== undefined) joined.keys += 1;
    const left = this.#leases.get(from);
    if (left === undefined) return;
    left.keys -= 1;
    if (left.keys <= 0 && left.kind !== 'ours') this.#forget(from, left);
  }

  /**
   * Decides about the leases found on listed keys: those with the configured TTL are adopted, the others
   * are kept alive while `isNeeded` reports keys of ours on them. Idempotent.
   */
  async adopt(indexes: Iterable<number>, isNeeded: (index: number) => boolean, signal: AbortSignal): Promise<void> {
    for (const index of indexes) {
      const lease = this.#leases.get(index);
      if (lease === undefined || lease.kind !== 'foreign') continue;
      const left = await this.#options.client.leaseTimeToLive(lease.id, { signal });
      if (left === undefined || left.ttl <= 0 || lease.kind !== 'foreign' || this.#leases.get(index) !== lease) continue;
      if (left.grantedTtl === this.#options.ttlSeconds) {
        this.#keep(index, lease, 'ours', left.grantedTtl);
      } else if (isNeeded(index)) {
        this.#options.log.info(
          { lease: lease.id.toString(16), grantedTtl: left.grantedTtl, configuredTtl: this.#options.ttlSeconds },
          'keys are attached to a lease with another TTL; moving them to a lease with the configured TTL',
        );
        this.#keep(index, lease, 'moving', left.grantedTtl);
      }
    }
  }

  /**
   * Reserves room for `keys` more keys on one lease: the last one while it fits, else the fullest that does, granted where none
   * does. To be given back with `release` as soon as the keys themselves are counted.
   */
  async reserve(keys: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      const fitting = this.#fitting(keys);
      if (fitting !== undefined) {
        (this.#leases.get(fitting) as Lease).keys += keys;
        return fitting;
      }
      this.#granting ??= this.#grant(signal).finally(() => {
        this.#granting = undefined;
      });
      await this.#granting;
    }
  }

  /** Ends a reservation. */
  release(index: number, keys: number): void {
    const lease = this.#leases.get(index);
    if (lease !== undefined) lease.keys -= keys;
  }

  /** etcd reports the lease as not found. Its keys are or will be deleted. */
  lost(index: number): void {
    const lease = this.#leases.get(index);
    if (lease === undefined) return;
    this.#forget(index, lease);
    this.#options.onLost(lease.id, lease.keys);
  }

  /**
   * Asks etcd which leases it still has, and drops the others. All are asked for: they are often lost together, and a failed write
   * names none. One search at a time; later calls share it. Rejects if etcd does not answer, or with the signal's reason.
   */
  findLost(signal: AbortSignal): Promise<void> {
    this.#searching ??= this.#search(signal).finally(() => {
      this.#searching = undefined;
    });
    return this.#searching;
  }

  /** Every lease belonged to a store that no longer exists. */
  forgetAll(): void {
    for (const [index, lease] of this.#leases) this.#forget(index, lease);
  }

  /** Stops keeping leases alive. They are left to expire: a successor adopts them. */
  close(): void {
    for (const lease of this.#leases.values()) lease.stopKeeping();
  }

  async #search(signal: AbortSignal): Promise<void> {
    const unasked = [...this.#leases].filter(([, { kind }]) => kind !== 'foreign');
    const askInTurn = async () => {
      for (let next = unasked.pop(); next !== undefined; next = unasked.pop()) {
        const [index, { id }] = next;
        const left = await this.#options.client.leaseTimeToLive(id, { signal });
        if (left === undefined || left.ttl <= 0) this.lost(index);
      }
    };
    await Promise.all(Array.from({ length: MAX_LEASE_QUERIES }, askInTurn));
  }

  /** A million keys have a thousand leases: they are not compared for each transaction. */
  #fitting(keys: number): number | undefined {
    const last = this.#filling === undefined ? undefined : this.#leases.get(this.#filling);
    if (last === undefined || !this.#fits(last, keys)) this.#filling = this.#fullest(keys);
    return this.#filling;
  }

  #fits(lease: Lease, keys: number): boolean {
    return lease.kind === 'ours' && lease.keys + keys <= this.#options.keysPerLease;
  }

  #fullest(keys: number): number | undefined {
    let best: number | undefined;
    let bestKeys = -1;
    for (const [index, lease] of this.#leases) {
      if (lease.keys <= bestKeys || !this.#fits(lease, keys)) continue;
      best = index;
      bestKeys = lease.keys;
    }
    return best;
  }

  async #grant(signal: AbortSignal): Promise<number> {
    const id = await this.#options.client.grantLease(this.#options.ttlSeconds, { signal });
    const lease: Lease = { id, keys: 0, kind: 'foreign', stopKeeping: () => undefined };
    const index = this.#add(lease);
    this.#keep(index, lease, 'ours', this.#options.ttlSeconds);
    return index;
  }

  #add(lease: Lease): number {
    const index = this.#nextIndex;
    this.#nextIndex += 1;
    this.#leases.set(index, lease);
    this.#byId.set(lease.id, index);
    return index;
  }

  #keep(index: number, lease: Lease, kind: 'ours' | 'moving', ttlSeconds: number): void {
    lease.kind = kind;
    lease.stopKeeping = this.#options.client.keepLease(lease.id, ttlSeconds, () => this.lost(index));
  }

  #forget(index: number, lease: Lease): void {
    lease.stopKeeping();
    this.#leases.delete(index);
    this.#byId.delete(lease.id);
    this.#needed.delete(index);
  }
}
