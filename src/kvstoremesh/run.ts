/** The `kvstoremesh` daemon, wired together: remote etcds as sources, one publisher, the local etcd. */
import { once } from 'node:events';
import { parseClusterInfo } from '../shared/cluster-info.ts';
import { openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { keyOf } from '../shared/etcd/types.ts';
import { Health } from '../shared/health.ts';
import { serveHealth, serveJson, serveMetrics } from '../shared/http.ts';
import { JobGroup } from '../shared/jobs.ts';
import { parseKvstoreOptions } from '../shared/kvstore-options.ts';
import { parseListenAddress } from '../shared/listen-address.ts';
import type { Registry } from '../shared/metrics.ts';
import { runHeartbeat } from '../shared/publisher/heartbeat.ts';
import { PublisherMetrics } from '../shared/publisher/metrics.ts';
import { createPublisher } from '../shared/publisher/publisher.ts';
import type { Runtime } from '../shared/runtime.ts';
import { ClusterIds } from './cluster-ids.ts';
import { type ConfigDirectoryOptions, watchConfigDirectory } from './config-directory.ts';
import { DRAIN_GRACE_MS } from './drain.ts';
import type { KvstoremeshFlags } from './flags.ts';
import { type ClusterProgress, isReady, type ReadinessLimits } from './readiness.ts';
import type { RemoteCluster } from './remote-cluster.ts';
import { RemoteClusters } from './remote-clusters.ts';
import { openRemoteEtcd } from './remote-etcd.ts';
import { registerRemoteMetrics } from './remote-metrics.ts';
import { remoteClusterStatus } from './status.ts';

/** Everything that is written is below it. */
const ROOT = keyOf('cilium/');

/** How often an unready daemon looks whether it is ready. */
const READINESS_INTERVAL_MS = 200;

/** Runs until the signal is aborted, then resolves; what was written stays. Rejects when it cannot start or go on. */
export async function runKvstoremesh(flags: KvstoremeshFlags, runtime: Runtime): Promise<void> {
  const { clock, log, metrics } = runtime;
  const own = parseClusterInfo(flags);
  const kvstore = parseKvstoreOptions(flags.kvstoreOpt);
  const jobs = new JobGroup({ signal: runtime.signal, log });
  const { signal } = jobs;
  const health = new Health(metrics);
  let clusters: RemoteClusters | undefined;
  await serve(flags, metrics, health, () => clusters?.all ?? [], signal);

  const parts = { kvstore, clock, log };
  const { client: local, endBootstrap } = await openLocalEtcd(kvstore, { clock, log }, signal);
  try {
    const publisherMetrics = new PublisherMetrics(metrics, clock);
    const publisher = createPublisher({
      client: local,
      root: ROOT,
      leaseTtlSeconds: flags.kvstoreLeaseTtlMs / 1000,
      clock,
      log,
      observer: publisherMetrics,
    });
    publisherMetrics.setPublisher(publisher);
    jobs.startJob('publisher', (jobSignal) => publisher.run(jobSignal));
    if (flags.enableHeartbeat) jobs.startJob('heartbeat', (jobSignal) => runHeartbeat(publisher.singles, clock, log, jobSignal));

    const remotes = new RemoteClusters({
      context: {
        own,
        local,
        publisher,
        metrics: publisherMetrics,
        ids: new ClusterIds(own, flags.allowIdConflicts),
        serviceFormat: flags.clustermeshServiceV2,
        cacheTtlMs: flags.clustermeshCacheTtlMs,
        clock,
        log,
        open: (path, cluster) => openRemoteEtcd(path, cluster, parts),
      },
      drainGraceMs: flags.disableDrainOnDisconnection ? undefined : DRAIN_GRACE_MS,
      signal,
    });
    clusters = remotes;
    jobs.startJob('remote clusters', () => remotes.ended());
    const limits = { perClusterMs: flags.perClusterReadyTimeoutMs, globalMs: flags.globalReadyTimeoutMs };
    const onFirst = (configured: readonly RemoteCluster[]) =>
      jobs.startJob('readiness', async (jobSignal) => {
        await untilReady(configured, remotes, limits, runtime, jobSignal);
        health.markReady();
        endBootstrap();
        await once(jobSignal, 'abort');
      });
    const directory = { path: flags.clustermeshConfig, ownName: own.name, clock, log, signal };
    jobs.startJob('configuration directory', () => followDirectory(directory, remotes, onFirst));
    await jobs.done();
  } finally {
    local.close();
  }
}

async function serve(
  flags: KvstoremeshFlags,
  metrics: Registry,
  health: Health,
  clusters: () => readonly RemoteCluster[],
  signal: AbortSignal,
): Promise<void> {
  registerRemoteMetrics(metrics, clusters);
  await serveHealth(health, { address: { host: undefined, port: flags.healthPort }, flag: 'health-port', signal });
  const api = parseListenAddress(flags.apiServeAddr);
  const resources = { '/v1/cluster': () => clusters().map(remoteClusterStatus) };
  if (api !== undefined) await serveJson(resources, { address: api, flag: 'api-serve-addr', signal });
  const scrapes = parseListenAddress(flags.prometheusServeAddr);
  if (scrapes !== undefined) await serveMetrics(metrics, { address: scrapes, flag: 'prometheus-serve-addr', signal });
}

/** Adds, reconnects and removes clusters as their files say. `onFirst` is called when those of the start are added. */
async function followDirectory(
  directory: ConfigDirectoryOptions,
  remotes: RemoteClusters,
  onFirst: (configured: readonly RemoteCluster[]) => void,
): Promise<void> {
  let isFirst = true;
  for await (const changes of watchConfigDirectory(directory)) {
    for (const change of changes) remotes.apply(change);
    if (isFirst) onFirst(remotes.all);
    isFirst = false;
  }
}

/** Resolves when the clusters of the start are loaded or excused. */
async function untilReady(
  configured: readonly RemoteCluster[],
  remotes: RemoteClusters,
  limits: ReadinessLimits,
  { clock, log }: Runtime,
  signal: AbortSignal,
): Promise<void> {
  const startMs = clock.monotonicMs();
  const progress = (): ClusterProgress[] =>
    configured.map((remote) => ({
      createdMs: remote.createdMs,
      hasBegun: remote.state.hasBegun,
      isSynced: remote.isSynced,
      isRemoved: !remotes.all.includes(remote),
    }));
  while (!isReady(progress(), limits, startMs, clock.monotonicMs())) await clock.sleep(READINESS_INTERVAL_MS, signal);
  log.info(
    { clusters: configured.length, unsynced: configured.filter((each) => !each.isSynced).map(({ name }) => name) },
    'ready',
  );
}
