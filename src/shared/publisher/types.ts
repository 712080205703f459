/**
 * The interface between a source of desired keys and the publisher that makes etcd equal to them.
 *
 * A source has four calls. The publisher does the rest: batching, order, leases,
 * stale keys, canaries, repair and back-off.
 */
import type { EtcdKey } from '../etcd/types.ts';

/** The calls of a source. All four are synchronous and never throw: the publisher counts and logs a key that it rejects. */
export interface Sink {
  /** `key` shall have `value`. The bytes are copied. The last word about a key wins. */
  upsert(key: EtcdKey, value: Uint8Array): void;
  /** `key` shall not exist. */
  remove(key: EtcdKey): void;
  /** The listing is complete: keys that it did not contain since the last `interrupted` are stale and are removed. */
  listed(): void;
  /** The source lost its place: what follows is a new listing. Nothing is removed until it is complete. */
  interrupted(reason: string): void;
}

export interface SectionOptions {
  /** For logs and metrics: `nodes/v1`, `ip/v1` and so on. */
  readonly scope: string;
  /** The cluster whose keys these are; sections of one cluster are ordered among each other. */
  readonly cluster: string;
  /** Every key of the section starts with it; ends with a slash. */
  readonly prefix: EtcdKey;
  /** Load order within the cluster: lower ranks first in a first load, last in a removal. */
  readonly rank: number;
  /**
   * Which keys found below the prefix may be removed as stale. `prefix`: all of them, the prefix is exclusive.
   * `leased`: those attached to a lease that an earlier run of ours (or of the original) granted.
   */
  readonly owns: 'prefix' | 'leased';
  /** Written after the last write of the first listing was confirmed; its value is the time of writing. */
  readonly canary?: EtcdKey;
  /**
   * The bytes that the source writes for the same meaning as `value` in etcd; `value` itself if it is the source's own form,
   * or not known. Prevents rewriting values that other encoders wrote in another form.
   * Must not throw; the writer of `value` is not trusted.
   */
  readonly canonical?: (value: Uint8Array) => Uint8Array;
}

export interface SectionStats {
  /** Keys desired, and keys that stay as etcd holds them. */
  readonly desired: number;
  /** Bytes of these keys, and of the values desired. */
  readonly bytes: number;
  /** Keys that wait to be written or removed. */
  readonly pending: number;
  /** The source has delivered its first listing. */
  readonly listed: boolean;
  /** The first listing is in etcd, the canary too. Never reverts. */
  readonly synced: boolean;
}

export interface Section extends Sink {
  readonly options: SectionOptions;
  readonly stats: SectionStats;
  /**
   * `key` exists, but its current value is rejected: if it has an earlier one, that one is kept and repaired like
   * all others. If only etcd has a value, that one is kept and its lease kept alive; its existence may be determined
   * later. The key is removed when the source removes it, or when a complete listing does not contain it.
   */
  keep(key: EtcdKey): void;
  /**
   * Bytes of the value of a live key, one that the listing under way, or what followed it, has named; 0 where it stays as
   * etcd holds it. Undefined of any other key.
   */
  liveBytes(key: EtcdKey): number | undefined;
  /**
   * What etcd holds under `key`, as far as is known, compared with `value`: by a digest of 64 bits.
   * Undefined while that is not known (see `whenEtcdListed`).
   */
  compare(key: EtcdKey, value: Uint8Array): 'absent' | 'same' | 'other' | undefined;
  /** Resolves when the section was listed in etcd for the first time; rejects when `signal` is aborted first. */
  whenEtcdListed(signal: AbortSignal): Promise<void>;
  /** Resolves when the section is synced (see SectionStats); rejects when `signal` is aborted first. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** Resolves when all calls so far are confirmed by etcd; rejects when `signal` is aborted first. */
  flushed(signal: AbortSignal): Promise<void>;
  /** Removes every key below the prefix, foreign ones too. The canary stays. */
  clear(): void;
  /** The publisher forgets the section; keys, canary and leases stay as they are. */
  release(): void;
}

/** Single keys outside every section: cluster configurations, the heartbeat. Repaired and leased like all others. */
export interface SingleKeys {
  /** Desires `key`; resolves when etcd confirmed it, rejects when `signal` is aborted first. */
  put(key: EtcdKey, value: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Removes `key`; resolves when etcd confirmed it. */
  remove(key: EtcdKey, signal: AbortSignal): Promise<void>;
  /** Stops desiring `key` without removing it. */
  release(key: EtcdKey): void;
  /** Keeps the key of an earlier run alive, with any value, until `put` or `remove` is called for it. */
  keep(key: EtcdKey, signal: AbortSignal): Promise<void>;
}

export interface Publisher {
  readonly singles: SingleKeys;
  section(options: SectionOptions): Section;
  readonly stats: PublisherStats;
}

export interface PublisherStats {
  readonly pending: number;
  readonly inFlight: number;
  readonly keys: number;
  readonly leases: number;
  /** Bytes of memory that are reserved for desired values. */
  readonly reservedBytes: number;
  /** The single keys were read from etcd, and their changes are watched. */
  readonly singlesListed: boolean;
  /** Start (monotonic milliseconds) and cause of failing writes; undefined while they succeed. */
  readonly failing: { readonly sinceMs: number; readonly error: Error } | undefined;
}

/** Why a key was written again without a change of its source. */
export type RepairReason = 'deleted' | 'overwritten' | 'foreign' | 'lease_lost' | 'store_replaced';

/** Why a key was not taken. */
export type RejectReason = 'outside_prefix' | 'key_too_large' | 'value_too_large' | 'collision';

/** What the publisher reports; the daemons turn it into Prometheus series. */
export interface PublisherObserver {
  /** A transaction of so many operations was sent. */
  transaction(operations: number): void;
  syncError(scope: string, cluster: string, error: Error): void;
  repair(reason: RepairReason, keys: number): void;
  rejected(reason: RejectReason, scope: string, cluster: string): void;
  synced(scope: string, cluster: string): void;
}
