/**
 * The contract between a source of desired keys and the publisher that makes etcd equal to them.
 *
 * A source speaks four words. The publisher owns everything that is hard: batching, order, leases,
 * stale keys, canaries, repair and back-off.
 */
import type { EtcdKey } from '../etcd/types.ts';

/** What a source says. All four are synchronous and never fail: a key that cannot be taken is counted and logged by the publisher. */
export interface Sink {
  /** `key` shall have `value`. The bytes are copied. The last word about a key wins. */
  upsert(key: EtcdKey, value: Uint8Array): void;
  /** `key` shall not exist. */
  remove(key: EtcdKey): void;
  /** A complete listing has been delivered: whatever it did not name since the last `interrupted` is stale and is removed. */
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
   * Which keys found below the prefix may be removed as stale. `prefix`: all of them, the prefix is ours alone.
   * `leased`: those attached to a lease that an earlier run of ours (or of the original) granted.
   */
  readonly owns: 'prefix' | 'leased';
  /** Written after the last write of the first listing was confirmed; its value is the time of writing. */
  readonly canary?: EtcdKey;
  /**
   * The bytes that the source has for what `value`, which etcd holds, says; `value` itself where that is what the source
   * writes, or cannot be told. Where other encoders write other bytes of one meaning it keeps those from being written again.
   * Must not throw; whoever wrote `value` is not to be trusted.
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
  /** The first listing is in etcd, the canary too. Never goes back. */
  readonly synced: boolean;
}

export interface Section extends Sink {
  readonly options: SectionOptions;
  readonly stats: SectionStats;
  /**
   * `key` exists, but its present value cannot be taken: where it has an earlier one, that one stays, and is repaired like
   * all others. Where only etcd has it, what etcd holds stays and its lease is kept alive; whether it is there may be found
   * out later. It goes when the source removes it, or when a complete listing does not name it.
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
  /** Resolves when everything said so far is confirmed by etcd; rejects when `signal` is aborted first. */
  flushed(signal: AbortSignal): Promise<void>;
  /** Nothing is desired any more: every key below the prefix is removed, foreign ones too. The canary stays. */
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
  /** Keeps alive what an earlier run left under `key`, whatever it is, until `put` or `remove` is called for it. */
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
  /** Writes are failing since then (monotonic milliseconds), and why; undefined while all is well. */
  readonly failing: { readonly sinceMs: number; readonly error: Error } | undefined;
}

/** Why a key was written again although its source said nothing new. */
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
