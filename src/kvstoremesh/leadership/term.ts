/**
 * What the leader does for a term: one publisher, the heartbeat, and the remote clusters that its directory names.
 *
 * Each term begins from nothing but what etcd holds: it is listed, and only differences are written. At its end keys
 * and leases stay, for the next leader to take over.
 */

import { once } from 'node:events';
import type { ClusterInfo } from '../../shared/cluster-info.ts';
import { asError } from '../../shared/errors.ts';
import { DialPacing } from '../../shared/etcd/connection/dial-pacing.ts';
import { ROOT } from '../../shared/etcd/keyspace.ts';
import type { EtcdMetrics } from '../../shared/etcd/metrics.ts';
import type { EtcdClient } from '../../shared/etcd/types.ts';
import { ReceiveBudget } from '../../shared/etcd/wire/receive-budget.ts';
import type { KvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS } from '../../shared/limits.ts';
import type { ControllerGroup, RunObserver } from '../../shared/process/controller-runs.ts';
import { JobGroup } from '../../shared/process/jobs.ts';
import type { Runtime } from '../../shared/process/runtime.ts';
import { holdClusterConfigMarker } from '../../shared/publisher/cluster-config-marker.ts';
import { runHeartbeat } from '../../shared/publisher/heartbeat.ts';
import type { PublisherMetrics } from '../../shared/publisher/metrics.ts';
import { createPublisher } from '../../shared/publisher/publisher.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import { ConfigDirectory } from '../configuration/config-directory.ts';
import { type KvstoremeshFlags, remoteLimits } from '../flags.ts';
import { ImportGuard } from '../import-guard/guard.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import { ClusterIds } from '../remote/cluster-ids.ts';
import { RemoteClusters } from '../remote/clusters.ts';
import { openRemoteEtcd } from '../remote/etcd-client.ts';
import { DRAIN_GRACE_MS } from '../removal/drain.ts';
import { mirroredClusters } from '../removal/orphans.ts';
import type { Term } from './leadership.ts';
import { type ClusterProgress, isReady, type ReadinessLimits } from './readiness.ts';

export interface LeaderTiming {
  /** Between the removal of a cluster's config and that of its keys. */
  readonly drainGraceMs: number;
  /**
   * How long after the start of a term the keys of clusters without a file stay untouched: a Secret may be mounted, or a
   * cluster added again, a little later.
   */
  readonly leftoversMs: number;
}

export const LEADER_TIMING: LeaderTiming = { drainGraceMs: DRAIN_GRACE_MS, leftoversMs: 60_000 };

/** How often an unready daemon looks whether it is ready. */
const READINESS_INTERVAL_MS = 200;

export interface LeaderOptions {
  readonly flags: KvstoremeshFlags;
  readonly own: ClusterInfo;
  readonly kvstore: KvstoreOptions;
  readonly timing: LeaderTiming;
  readonly runtime: Omit<Runtime, 'signal' | 'metrics'>;
  readonly metrics: PublisherMetrics;
  readonly etcdMetrics: EtcdMetrics;
  /** See MirrorOptions. */
  readonly onPropagated: (seconds: number) => void;
  readonly runsOf: (group: ControllerGroup) => RunObserver | undefined;
  /** The remote clusters from now on; undefined when the term is over. */
  readonly onRemotes: (remotes: RemoteClusters | undefined) => void;
  /** See ConfigDirectoryOptions.onReadable. */
  readonly onReadable: (problem: string | undefined) => void;
  /** The clusters of the start are loaded or excused. */
  readonly onReady: () => void;
}

/** Resolves when the term is over and nothing of it runs on. Rejects where the daemon cannot go on. */
export async function lead(term: Term, options: LeaderOptions): Promise<void> {
  const { flags, own, timing, runtime, metrics, etcdMetrics, onPropagated, runsOf, onRemotes, onReadable, onReady } = options;
  const { clock, log } = runtime;
  const jobs = new JobGroup({ signal: term.signal, log });
  const { signal } = jobs;
  const publisher = createPublisher({
    client: term.client,
    root: ROOT,
    leaseTtlSeconds: Math.floor(flags.kvstoreLeaseTtlMs / 1000),
    clock,
    log,
    observer: metrics,
  });
  metrics.setPublisher(publisher);
  jobs.startJob('publisher', (jobSignal) => publisher.run(jobSignal));
  const marker = { singles: publisher.singles, client: term.client, clock, log };
  jobs.startJob('cluster config marker', (jobSignal) => holdClusterConfigMarker(marker, jobSignal));
  if (flags.enableHeartbeat) jobs.startJob('heartbeat', (jobSignal) => runHeartbeat(publisher.singles, clock, log, jobSignal));

  const [budget, pacing] = [new ReceiveBudget(), new DialPacing()];
  const parts = { kvstore: options.kvstore, budget, pacing, clock, log, metrics: etcdMetrics };
  const remotes = new RemoteClusters({
    context: {
      own,
      local: term.client,
      publisher,
      metrics,
      onPropagated,
      onAttempt: runsOf('clustermesh-remote-cluster'),
      onConfigRead: runsOf('clustermesh-cluster-config'),
      onQuorumError: (error) => etcdMetrics.quorumError(error),
      ids: new ClusterIds(own, flags.allowIdConflicts),
      serviceFormat: flags.clustermeshServiceV2,
      limits: remoteLimits(flags),
      guard: new ImportGuard(flags.importGuard, own),
      cacheTtlMs: flags.clustermeshCacheTtlMs,
      clock,
      log,
      open: (file) => openRemoteEtcd(file, parts),
    },
    onEnded: (cluster) => etcdMetrics.forgetRemote(cluster),
    drainGraceMs: flags.disableDrainOnDisconnection ? undefined : timing.drainGraceMs,
    signal,
  });
  onRemotes(remotes);
  jobs.startJob('remote clusters', () => remotes.ended());
  const limits = { perClusterMs: flags.perClusterReadyTimeoutMs, globalMs: flags.globalReadyTimeoutMs };
  const first = Promise.withResolvers<readonly RemoteCluster[]>();
  jobs.startJob('readiness', async (jobSignal) => {
    // A directory that cannot be read delays no longer than a cluster that is never loaded.
    const timeout = clock.sleep(limits.globalMs, jobSignal).then((): readonly RemoteCluster[] => []);
    await untilReady(await Promise.race([first.promise, timeout]), remotes, limits, runtime, jobSignal);
    onReady();
    await once(jobSignal, 'abort');
  });
  const directory = new ConfigDirectory({ path: flags.clustermeshConfig, ownName: own.name, clock, log, signal, onReadable });
  jobs.startJob('leftovers', (jobSignal) => removeLeftovers(remotes, directory, term.client, options, jobSignal));
  jobs.startJob('configuration directory', () => followDirectory(directory, remotes, first.resolve));
  try {
    await jobs.done();
  } finally {
    onRemotes(undefined);
    onReadable(undefined);
    remotes.release();
    metrics.setPublisher(undefined);
  }
}

/** Adds, reconnects and removes clusters as their files say. `onFirst` is called when those of the start are added. */
async function followDirectory(
  directory: ConfigDirectory,
  remotes: RemoteClusters,
  onFirst: (configured: readonly RemoteCluster[]) => void,
): Promise<void> {
  let isFirst = true;
  for await (const changes of directory.changes()) {
    for (const change of changes) remotes.apply(change);
    if (isFirst && directory.wasRead) {
      onFirst(remotes.all);
      isFirst = false;
    }
  }
}

/**
 * Has what earlier runs left of clusters that no file names removed, once. A cluster that may have a file which cannot be read
 * is none of them. Rejects with the signal's reason.
 */
async function removeLeftovers(
  remotes: RemoteClusters,
  directory: ConfigDirectory,
  local: EtcdClient,
  { timing, runtime: { clock, log } }: LeaderOptions,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
  await clock.sleep(timing.leftoversMs, signal);
  for (;;) {
    try {
      const found = [...(await mirroredClusters(local, signal))];
      remotes.removeLeftovers(found.filter((cluster) => !directory.adopt(cluster)));
      await once(signal, 'abort');
    } catch (thrown) {
      signal.throwIfAborted();
      log.debug({ error: asError(thrown).message }, 'the clusters of the local etcd cannot be listed; trying again');
    }
    await clock.sleep(backoff.nextMs(), signal);
  }
}

/** Resolves when the clusters of the start are loaded or excused. */
async function untilReady(
  configured: readonly RemoteCluster[],
  remotes: RemoteClusters,
  limits: ReadinessLimits,
  { clock, log }: LeaderOptions['runtime'],
  signal: AbortSignal,
): Promise<void> {
  const startMs = clock.monotonicMs();
  const progress = (): ClusterProgress[] => {
    const present = new Set(remotes.all);
    return configured.map((remote) => ({
      createdMs: remote.createdMs,
      hasBegun: remote.state.hasBegun,
      isSynced: remote.isSynced,
      isRemoved: !present.has(remote),
    }));
  };
  while (!isReady(progress(), limits, startMs, clock.monotonicMs())) await clock.sleep(READINESS_INTERVAL_MS, signal);
  log.info(
    { clusters: configured.length, unsynced: configured.filter((each) => !each.isSynced).map(({ name }) => name) },
    'ready',
  );
}
