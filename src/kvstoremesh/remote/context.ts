/** What all remote clusters of a daemon share. */

import type { ClusterInfo } from '../../shared/cluster-info.ts';
import type { EtcdConfig } from '../../shared/etcd/config.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { REMOTE_RELIST_MS, REMOTE_STOPPED_RETRY_MS } from '../../shared/limits.ts';
import type { RunObserver } from '../../shared/process/controller-runs.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { ImportGuard } from '../import-guard/guard.ts';
import { UNUSED_IDENTITY_MS } from '../import-policy/limits.ts';
import type { CurrentPolicy } from '../import-policy/rules/current-policy.ts';
import type { ServiceFormat } from '../mappings.ts';
import type { RemoteLimits } from '../mirror/bounds.ts';
import type { MirrorOptions } from '../mirror/mirror.ts';
import type { WithdrawalBrake } from '../removal/cache-ttl.ts';
import { READINGS_TIMING, type ReadingsTiming } from './cluster-config-readings.ts';
import type { ClusterIds } from './cluster-ids.ts';
import type { NewsReader } from './news.ts';
import type { RemotePhase } from './state.ts';

/** The configuration file of a remote's etcd, and how to read it. */
export interface SourceFile {
  readonly path: string;
  readonly cluster: string;
  /** Its content when it could last be read. */
  readonly last: EtcdConfig | undefined;
  /** See EtcdObserver.droppedEvents. */
  readonly onDropped?: (count: number) => void;
}

/** A client of the remote's etcd, made from its file as it is now. */
export interface OpenedSource {
  readonly client: EtcdClient;
  /** The content of the file, or its last readable content. */
  readonly config: EtcdConfig;
}

export interface RemoteClusterContext extends Omit<MirrorOptions, 'relistMs' | 'cluster' | 'guard' | 'policy'> {
  readonly own: ClusterInfo;
  readonly ids: ClusterIds;
  readonly serviceFormat: ServiceFormat;
  readonly guard: ImportGuard;
  /** Undefined without --import-policy. */
  readonly policy?: CurrentPolicy | undefined;
  /** Of each remote. */
  readonly limits: RemoteLimits;
  /** After so long without a remote its services are withdrawn; 0 for never. */
  readonly cacheTtlMs: number;
  readonly brake: WithdrawalBrake;
  /** How many there are. */
  readonly remotes: () => number;
  /** Between the removal of a withdrawn cluster's config and that of its keys; DRAIN_GRACE_MS where absent. */
  readonly drainGraceMs?: number | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  /** A remote responds but is unhealthy; receives the reason. */
  readonly onQuorumError: (error: string) => void;
  /** A remote has come to this phase, or is still in it. */
  readonly onPhase?: ((cluster: string, phase: RemotePhase) => void) | undefined;
  /** An attempt to connect to a remote and to mirror it is over. */
  readonly onAttempt?: RunObserver | undefined;
  /** See ReadingsOptions.onRead. */
  readonly onConfigRead?: RunObserver | undefined;
  readonly reader?: NewsReader | undefined;
  /** See openRemoteEtcd. */
  readonly open: (file: SourceFile) => Promise<OpenedSource>;
  readonly timing?: RemoteTiming;
}

export interface RemoteTiming {
  readonly readings: ReadingsTiming;
  /** A rejected cluster is evaluated again after this time. */
  readonly refusedMs: number;
  /** A remote that exceeds a bound is read again after this time at most. */
  readonly stoppedMs: number;
  /** A connection that lasted longer resets the back-off. */
  readonly stableMs: number;
  /** A remote is listed again after this time at least, independent of its watches. */
  readonly relistMs: number;
  /** See UNUSED_IDENTITY_MS; that where absent. */
  readonly unusedIdentityMs?: number;
}

export const REMOTE_TIMING: RemoteTiming = {
  readings: READINGS_TIMING,
  refusedMs: 10_000,
  stoppedMs: REMOTE_STOPPED_RETRY_MS,
  stableMs: 60_000,
  relistMs: REMOTE_RELIST_MS,
  unusedIdentityMs: UNUSED_IDENTITY_MS,
};
