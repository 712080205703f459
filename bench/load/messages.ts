/** What the bench and the processes of the load tell each other. */
import type { EtcdConfig } from '../../src/shared/etcd/config.ts';

export interface WriterOrder {
  readonly target: EtcdConfig;
  /** Of the cluster whose keys are changed, and how many keys it has. */
  readonly id: number;
  readonly keys: number;
  /** Distinguishes the changes of one load from those before. */
  readonly run: number;
  /** Changes a second, and for how many seconds. */
  readonly rate: number;
  readonly seconds: number;
  /** Changes of one transaction at most. */
  readonly perTransaction: number;
}

export interface WriterReport {
  readonly changes: number;
  /** Changes that the etcd rejected, or did not answer in time: they may arrive all the same. */
  readonly failed: number;
  readonly firstSentNs: number;
  readonly lastSentNs: number;
  /** The latest that a change was sent after it was due. */
  readonly latestMs: number;
  /** Of one core. */
  readonly cpu: number;
}

export interface WatcherOrder {
  readonly watched: EtcdConfig;
  readonly prefix: string;
  readonly run: number;
}

/** Sent when the last change was written. */
export interface WatcherEnd {
  readonly changes: number;
  /** Changes before this one are a warm-up and do not count. */
  readonly counted: number;
  readonly lastSentNs: number;
  /** A change that another one of the same key follows so many changes later may be superseded by it. */
  readonly repeatedAfter: number;
}

export interface WatcherReport {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From the last change until nothing came any more. */
  readonly drainMs: number;
  /** Changes that arrived more than 100 ms after the last one was put. */
  readonly left: number;
  /** Changes that did not arrive because a later one of the same key did. */
  readonly superseded: number;
  /** Changes that never arrived. */
  readonly lost: number;
  readonly cpu: number;
}
