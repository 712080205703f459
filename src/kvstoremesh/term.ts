/**
 * A term of the leader: one publisher, the heartbeat, and the remote clusters of the configuration directory.
 *
 * Each term starts from what etcd holds: it lists that, and writes only differences. Keys and leases stay when the term
 * ends, and the next leader takes them over.
 */

import { once } from 'node:events';
import { asError } from '../shared/errors.ts';
import { DialPacing } from '../shared/etcd/connection/dial-pacing.ts';
import { ROOT } from '../shared/etcd/keyspace.ts';
import type { EtcdMetrics } from '../shared/etcd/metrics.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import { ReceiveBudget } from '../shared/etcd/wire/receive-budget.ts';
import type { Term } from '../shared/leadership/leadership.ts';
import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS } from '../shared/limits.ts';
import type { ControllerGroup, RunObserver } from '../shared/process/controller-runs.ts';
import { JobGroup } from '../shared/process/jobs.ts';
import type { Logger } from '../shared/process/log.ts';
import { holdClusterConfigMarker } from '../shared/publisher/cluster-config-marker.ts';
import { runHeartbeat } from '../shared/publisher/heartbeat.ts';
import type { PublisherMetrics } from '../shared/publisher/metrics.ts';
import { createPublisher } from '../shared/publisher/publisher.ts';
import { Backoff } from '../shared/time/backoff.ts';
import type { Clock } from '../shared/time/clock.ts';
import { Turns } from '../shared/time/turns.ts';
import type { Tracer } from '../shared/tracing/tracer.ts';
import { ConfigDirectory } from './configuration/config-directory.ts';
import type { KvstoremeshConfig } from './flags.ts';
import { ImportGuard } from './import-guard/guard.ts';
import type { CurrentPolicy } from './import-policy/rules/current-policy.ts';
import { type ClusterProgress, isReady } from './readiness.ts';
import type { RemoteCluster } from './remote/cluster.ts';
import { ClusterIds } from './remote/cluster-ids.ts';
import { RemoteClusters } from './remote/clusters.ts';
import type { RemoteClusterContext } from './remote/context.ts';
import { openRemoteEtcd } from './remote/etcd-client.ts';
import type { NewsReader } from './remote/news.ts';
import { DRAIN_GRACE_MS } from './removal/drain.ts';
import { orphanedClusters } from './removal/orphans.ts';
import type { Reports, TermReports } from './reports/reports.ts';

export interface LeaderTiming {
  /** Between the removal of a cluster's config and that of its keys. */
  readonly drainGraceMs: number;
  /**
   * How long after the start of a term the keys of clusters without a file are left alone: a Secret may be mounted, or a
   * cluster added again, a little later.
   */
  readonly orphansMs: number;
}

export const LEADER_TIMING: LeaderTiming = { drainGraceMs: DRAIN_GRACE_MS, orphansMs: 60_000 };

/** How often an unready daemon checks whether it is ready. */
const READINESS_INTERVAL_MS = 200;

export interface LeaderOptions {
  readonly config: KvstoremeshConfig;
  readonly timing: LeaderTiming;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: PublisherMetrics;
  readonly etcdMetrics: EtcdMetrics;
  /** See MirrorOptions. */
  readonly onPropagated: (seconds: number) => void;
  readonly runsOf: (group: ControllerGroup) => RunObserver | undefined;
  /** Undefined where nothing is traced. */
  readonly tracer: Tracer | undefined;
  /** Undefined where nothing is reported to Kubernetes. */
  readonly reports: Reports | undefined;
  readonly reader?: NewsReader;
  /** Undefined without --import-policy. */
  readonly policy: CurrentPolicy | undefined;
}

/** What a term has while it lasts. */
export interface CurrentTerm {
  readonly remotes: RemoteClusters;
  readonly directory: ConfigDirectory;
}

export class Leader {
  readonly #options: LeaderOptions;
  readonly #ready = Promise.withResolvers<void>();
  #current: CurrentTerm | undefined;

  constructor(options: LeaderOptions) {
    this.#options = options;
  }

  /** Undefined while another replica leads. */
  get current(): CurrentTerm | undefined {
    return this.#current;
  }

  /** Resolves once the clusters of the start of a term are loaded or excused. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves when the term is over and all of its tasks have ended. Rejects where the daemon cannot go on. */
  async lead(term: Term): Promise<void> {
    const { config, timing, metrics, clock, log } = this.#options;
    const jobs = new JobGroup({ signal: term.signal, log });
    const { signal } = jobs;
    const turns = new Turns(clock);
    const publisher = createPublisher({
      client: term.client,
      root: ROOT,
      leaseTtlSeconds: config.leaseTtlSeconds,
      clock,
      log,
      observer: metrics,
      turns,
      isFenced: true,
    });
    metrics.setPublisher(publisher);
    jobs.startJob('publisher', (jobSignal) => publisher.run(jobSignal));
    const marker = { singles: publisher.singles, client: term.client, clock, log };
    jobs.startJob('cluster config marker', (jobSignal) => holdClusterConfigMarker(marker, jobSignal));
    if (config.writesHeartbeat) jobs.startJob('heartbeat', (jobSignal) => runHeartbeat(publisher.singles, clock, log, jobSignal));

    const reports = this.#options.reports?.begin();
    const remotes = this.#remotes({ local: term.client, publisher, slices: turns }, reports, signal);
    jobs.startJob('remote clusters', () => remotes.ended());
    const directory = new ConfigDirectory({ path: config.directory, ownName: config.own.name, clock, log, signal });
    this.#current = { remotes, directory };
    if (reports !== undefined) jobs.startJob('reports', (jobSignal) => reports.run({ remotes, directory }, jobSignal));
    const first = Promise.withResolvers<readonly RemoteCluster[]>();
    jobs.startJob('readiness', async (jobSignal) => {
      await untilReady(first.promise, remotes, this.#options, jobSignal);
      this.#ready.resolve();
      await once(jobSignal, 'abort');
    });
    const orphans = { remotes, directory, local: term.client, delayMs: timing.orphansMs, clock, log };
    jobs.startJob('orphans', (jobSignal) => removeOrphans(orphans, jobSignal));
    jobs.startJob('configuration directory', () => followDirectory(directory, remotes, first.resolve));
    try {
      await jobs.done();
    } finally {
      this.#current = undefined;
      remotes.release();
      metrics.setPublisher(undefined);
    }
  }

  #remotes(
    shared: Pick<RemoteClusterContext, 'local' | 'publisher' | 'slices'>,
    reports: TermReports | undefined,
    signal: AbortSignal,
  ): RemoteClusters {
    const changes = reports?.changes;
    const { config, timing, clock, log, metrics, etcdMetrics, onPropagated, tracer, runsOf, reader, policy } = this.#options;
    const { own, kvstore, remotes } = config;
    const parts = { kvstore, budget: new ReceiveBudget(), pacing: new DialPacing(), clock, log, metrics: etcdMetrics };
    return new RemoteClusters({
      context: {
        ...shared,
        own,
        metrics,
        onPropagated,
        tracer,
        onPhase: changes && ((cluster, phase) => changes.entered(cluster, phase)),
        reader,
        onAttempt: runsOf('clustermesh-remote-cluster'),
        onConfigRead: runsOf('clustermesh-cluster-config'),
        onQuorumError: (error) => etcdMetrics.quorumError(error),
        ids: new ClusterIds(own, remotes.allowIdConflicts),
        serviceFormat: remotes.serviceFormat,
        limits: remotes.limits,
        guard: new ImportGuard(remotes.importGuard, own),
        policy,
        cacheTtlMs: remotes.cacheTtlMs,
        clock,
        log,
        open: (file) => openRemoteEtcd(file, parts),
      },
      onEnded: (cluster) => etcdMetrics.forgetRemote(cluster),
      onRemoval: changes && ((cluster, step) => changes.removed(cluster, step)),
      drainGraceMs: remotes.drained ? timing.drainGraceMs : undefined,
      signal,
    });
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

interface OrphansOptions {
  readonly remotes: RemoteClusters;
  readonly directory: ConfigDirectory;
  readonly local: EtcdClient;
  readonly delayMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes the keys of clusters that no file names, once. A cluster keeps its keys where it may have a file that cannot be
 * read. Rejects with the signal's reason.
 */
async function removeOrphans(options: OrphansOptions, signal: AbortSignal): Promise<never> {
  const { remotes, directory, local, delayMs, clock, log } = options;
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
  await clock.sleep(delayMs, signal);
  for (;;) {
    try {
      const known = [...remotes.all.map(({ name }) => name), ...remotes.draining];
      const found = [...(await orphanedClusters({ local, known, signal }))];
      remotes.removeOrphans(found.filter((cluster) => !directory.adopt(cluster)));
      await once(signal, 'abort');
    } catch (thrown) {
      signal.throwIfAborted();
      log.debug({ error: asError(thrown).message }, 'cannot list the clusters in the local etcd; retrying');
    }
    await clock.sleep(backoff.nextMs(), signal);
  }
}

/** Resolves when the clusters of the start, which `first` names, are loaded or excused. */
async function untilReady(
  first: Promise<readonly RemoteCluster[]>,
  remotes: RemoteClusters,
  { config: { readiness }, clock, log }: LeaderOptions,
  signal: AbortSignal,
): Promise<void> {
  // A directory that cannot be read delays no longer than a cluster that is never loaded.
  const timeout = clock.sleep(readiness.globalMs, signal).then((): readonly RemoteCluster[] => []);
  const configured = await Promise.race([first, timeout]);
  const startMs = clock.monotonicMs();
  // Read on demand: the first cluster that is not ready decides, and there may be hundreds of them.
  const progress = configured.map(
    (remote): ClusterProgress => ({
      createdMs: remote.createdMs,
      get hasBegun() {
        return remote.state.hasBegun;
      },
      get isSynced() {
        return remote.isSynced;
      },
      get isRemoved() {
        return !remotes.all.includes(remote);
      },
    }),
  );
  while (!isReady(progress, readiness, startMs, clock.monotonicMs())) await clock.sleep(READINESS_INTERVAL_MS, signal);
  log.info(
    { clusters: configured.length, unsynced: configured.filter((each) => !each.isSynced).map(({ name }) => name) },
    'ready',
  );
}
