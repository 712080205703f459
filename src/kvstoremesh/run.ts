/** The `kvstoremesh` daemon, wired together: its servers, the local etcd, and whoever leads over it. */
import { parseClusterInfo } from '../shared/cluster-info.ts';
import { openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { Health } from '../shared/health.ts';
import { serveHealth, serveJson, serveMetrics } from '../shared/http.ts';
import { JobGroup } from '../shared/jobs.ts';
import { parseKvstoreOptions } from '../shared/kvstore-options.ts';
import { parseListenAddress } from '../shared/listen-address.ts';
import type { Registry } from '../shared/metrics.ts';
import { PublisherMetrics } from '../shared/publisher/metrics.ts';
import type { Runtime } from '../shared/runtime.ts';
import { type KvstoremeshFlags, remoteLimits } from './flags.ts';
import { LEADER_TIMING, type LeaderTiming, lead } from './leader.ts';
import { LEADERSHIP_TIMING, type LeadershipTiming, runLeadership, type Term } from './leadership.ts';
import type { RemoteCluster } from './remote-cluster.ts';
import type { RemoteClusters } from './remote-clusters.ts';
import { registerRemoteMetrics } from './remote-metrics.ts';
import { remoteClusterStatus } from './status.ts';

export interface KvstoremeshTiming extends LeadershipTiming, LeaderTiming {}

/** Runs until the signal is aborted, then resolves; what was written stays. Rejects when it cannot start or go on. */
export async function runKvstoremesh(
  flags: KvstoremeshFlags,
  runtime: Runtime,
  timing: KvstoremeshTiming = { ...LEADERSHIP_TIMING, ...LEADER_TIMING },
): Promise<void> {
  const { clock, log, metrics } = runtime;
  const own = parseClusterInfo(flags);
  const kvstore = parseKvstoreOptions(flags.kvstoreOpt);
  const jobs = new JobGroup({ signal: runtime.signal, log });
  const { signal } = jobs;
  const health = new Health(metrics);
  let clusters: RemoteClusters | undefined;
  await serve(flags, metrics, health, () => clusters?.all ?? [], signal);

  const { client, endBootstrap } = await openLocalEtcd(kvstore, { clock, log }, signal);
  try {
    const leader = {
      flags,
      own,
      kvstore,
      timing,
      runtime: { clock, log },
      metrics: new PublisherMetrics(metrics, clock),
      onRemotes: (remotes: RemoteClusters | undefined) => {
        clusters = remotes;
      },
      onReady: () => {
        health.markReady();
        endBootstrap();
      },
    };
    const onStandby = () => health.markReady();
    const leadership = { client, clock, log, metrics, timing, onStandby, lead: (term: Term) => lead(term, leader) };
    jobs.startJob('leadership', (jobSignal) => runLeadership(leadership, jobSignal));
    await jobs.done();
  } finally {
    client.close();
  }
}

async function serve(
  flags: KvstoremeshFlags,
  metrics: Registry,
  health: Health,
  clusters: () => readonly RemoteCluster[],
  signal: AbortSignal,
): Promise<void> {
  registerRemoteMetrics(metrics, clusters, remoteLimits(flags));
  await serveHealth(health, { address: { host: undefined, port: flags.healthPort }, flag: 'health-port', signal });
  const api = parseListenAddress(flags.apiServeAddr);
  const resources = { '/v1/cluster': () => clusters().map(remoteClusterStatus) };
  if (api !== undefined) await serveJson(resources, { address: api, flag: 'api-serve-addr', signal });
  const scrapes = parseListenAddress(flags.prometheusServeAddr);
  if (scrapes !== undefined) await serveMetrics(metrics, { address: scrapes, flag: 'prometheus-serve-addr', signal });
}
