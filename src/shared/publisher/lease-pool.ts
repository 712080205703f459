/**
 * The leases that the published keys hang on.
 *
 * Keys are spread: a lease carries a bounded number of them, since old etcd slows down with many and a
 * lost lease then costs few keys. Leases found on keys of an earlier run are adopted, that is kept alive by
 * their ID, so that a restart need not touch a single key. A lease that was granted for another time than the
 * configured one is kept alive only until its keys have moved.
 *
 * The rest of the publisher knows a lease by its index here: small, and stable while a key hangs on it.
 */

import { type EtcdClient, type LeaseId, NO_LEASE } from '../etcd/types.ts';
import type { Logger } from '../log.ts';

/** Index of "no lease". */
export const UNLEASED = 0;

interface Lease {
  id: LeaseId;
  /** Keys of ours that hang on it, as far as we know. */
  keys: number;
  /** `ours`: takes new keys. `moving`: kept alive until its keys have moved. `foreign`: not touched. `lost`: gone. */
  kind: 'ours' | 'moving' | 'foreign' | 'lost';
  stopKeeping: () => void;
}

export interface LeasePoolOptions {
  readonly client: EtcdClient;
  readonly ttlSeconds: number;
  readonly keysPerLease: number;
  readonly log: Logger;
  /** A lease of ours is gone, with whatever hung on it. */
  readonly onLost: (index: number) => void;
}

export class LeasePool {
  readonly #options: LeasePoolOptions;
  readonly #leases: (Lease | undefined)[] = [undefined];
  readonly #byId = new Map<LeaseId, number>();
  readonly #freeIndexes: number[] = [];
  #granting: Promise<number> | undefined;

  constructor(options: LeasePoolOptions) {
    this.#options = options;
  }

  /** Leases that are kept alive. */
  get count(): number {
    return this.#leases.filter((lease) => lease?.kind === 'ours' || lease?.kind === 'moving').length;
  }

  /** The index of a lease seen on a key; it is foreign until it is adopted. */
  indexOf(id: LeaseId): number {
    if (id === NO_LEASE) return UNLEASED;
    const known = this.#byId.get(id);
    if (known !== undefined) return known;
    return this.#add({ id, keys: 0, kind: 'foreign', stopKeeping: () => undefined });
  }

  id(index: number): LeaseId {
    return this.#leases[index]?.id ?? NO_LEASE;
  }

  /** True where the lease was granted by us, or by an earlier run for the same time. */
  isOurs(index: number): boolean {
    return this.#leases[index]?.kind === 'ours';
  }

  /** A key hangs on `to`, or is about to, and no longer on `from`. */
  moved(from: number, to: number): void {
    if (from === to) return;
    const left = this.#leases[from];
    if (left !== undefined) {
      left.keys -= 1;
      if (left.keys <= 0 && left.kind === 'moving') this.#drop(from, 'foreign');
    }
    const joined = this.#leases[to];
    if (joined !== undefined) joined.keys += 1;
  }

  /**
   * Decides about the leases found on listed keys: those granted for the configured time are adopted, the others
   * are kept alive while `isNeeded` says that keys of ours hang on them. Idempotent.
   */
  async adopt(indexes: Iterable<number>, isNeeded: (index: number) => boolean, signal: AbortSignal): Promise<void> {
    for (const index of indexes) {
      const lease = this.#leases[index];
      if (lease === undefined || lease.kind !== 'foreign') continue;
      const left = await this.#options.client.leaseTimeToLive(lease.id, { signal });
      if (left === undefined || left.ttl <= 0 || lease.kind !== 'foreign') continue;
      if (left.grantedTtl === this.#options.ttlSeconds) {
        this.#keep(index, lease, 'ours', left.grantedTtl);
      } else if (isNeeded(index)) {
        this.#options.log.info(
          { lease: lease.id.toString(16), grantedTtl: left.grantedTtl, configuredTtl: this.#options.ttlSeconds },
          'keys hang on a lease of another duration; they move to a lease of the configured one',
        );
        this.#keep(index, lease, 'moving', left.grantedTtl);
      }
    }
  }

  /**
   * Reserves room for `keys` more keys on one lease, the fullest that fits, granted where none does. To be given back
   * with `release` as soon as the keys themselves are counted.
   */
  async reserve(keys: number, signal: AbortSignal): Promise<number> {
    for (;;) {
      const fitting = this.#fullest(keys);
      if (fitting !== undefined) {
        (this.#leases[fitting] as Lease).keys += keys;
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
    const lease = this.#leases[index];
    if (lease !== undefined) lease.keys -= keys;
  }

  /** etcd says that the lease is not known. Its keys are gone or will be. */
  lost(index: number): void {
    const lease = this.#leases[index];
    if (lease === undefined || lease.kind === 'lost') return;
    this.#options.log.warn({ lease: lease.id.toString(16), keys: lease.keys }, 'lease lost; its keys are written again');
    this.#drop(index, 'lost');
    this.#byId.delete(lease.id);
    this.#options.onLost(index);
    this.#leases[index] = undefined;
    this.#freeIndexes.push(index);
  }

  /** The same by the lease's ID; nothing where it is known to be lost already. */
  lostId(id: LeaseId): void {
    const index = this.#byId.get(id);
    if (index !== undefined) this.lost(index);
  }

  /** Every lease belonged to a store that is no more. */
  forgetAll(): void {
    for (const [index, lease] of this.#leases.entries()) if (lease !== undefined) this.#drop(index, 'lost');
    this.#leases.length = 1;
    this.#freeIndexes.length = 0;
    this.#byId.clear();
  }

  /** Stops keeping leases alive. They are left to expire: a successor adopts them. */
  close(): void {
    for (const lease of this.#leases) lease?.stopKeeping();
  }

  #fullest(keys: number): number | undefined {
    let best: number | undefined;
    let bestKeys = -1;
    for (const [index, lease] of this.#leases.entries()) {
      if (lease?.kind !== 'ours' || lease.keys + keys > this.#options.keysPerLease || lease.keys <= bestKeys) continue;
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
    const index = this.#freeIndexes.pop() ?? this.#leases.length;
    this.#leases[index] = lease;
    this.#byId.set(lease.id, index);
    return index;
  }

  #keep(index: number, lease: Lease, kind: 'ours' | 'moving', ttlSeconds: number): void {
    lease.kind = kind;
    lease.stopKeeping = this.#options.client.keepLease(lease.id, ttlSeconds, () => this.lost(index));
  }

  #drop(index: number, kind: 'lost' | 'foreign'): void {
    const lease = this.#leases[index];
    if (lease === undefined) return;
    lease.stopKeeping();
    lease.stopKeeping = () => undefined;
    lease.kind = kind;
  }
}
