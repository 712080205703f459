/** The `kvstoremesh` daemon, wired together: its servers, the local etcd, and the leader that mirrors into it. */
import { SelfCheck } from '../shared/doctor/self-check.ts';
import { addEtcdChecks } from '../shared/etcd/health.ts';
import { KVSTOREMESH_LOCKS } from '../shared/etcd/keyspace.ts';
import { openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { EtcdMetrics } from '../shared/etcd/metrics.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import { Health } from '../shared/http/health.ts';
import { serveJson, serveMetrics } from '../shared/http/server.ts';
import { LEADERSHIP_TIMING, type LeadershipTiming, runLeadership, type Term } from '../shared/leadership/leadership.ts';
import { findLockPlace } from '../shared/leadership/lock-place.ts';
import { countControllerRuns } from '../shared/process/controller-runs.ts';
import { serveHealthOn } from '../shared/process/health-port.ts';
import { JobGroup } from '../shared/process/jobs.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import { PublisherMetrics } from '../shared/publisher/metrics.ts';
import type { Tracer } from '../shared/tracing/tracer.ts';
import { type KvstoremeshConfig, type KvstoremeshFlags, kvstoremeshConfig, type ReportsConfig } from './flags.ts';
import { importGuardReport } from './import-guard/report.ts';
import type { RemoteCluster } from './remote/cluster.ts';
import type { Reports } from './reports/reports.ts';
import { registerMeshMetrics } from './status/mesh-metrics.ts';
import { OPENAPI } from './status/openapi.ts';
import { registerRemoteMetrics } from './status/remote-metrics.ts';
import { remoteProblems } from './status/remote-problems.ts';
import { remoteClusterStatuses } from './status/status.ts';
import { type CurrentTerm, LEADER_TIMING, Leader, type LeaderTiming } from './term.ts';

export interface KvstoremeshTiming extends LeadershipTiming, LeaderTiming {}

/** Runs until the signal is aborted, then resolves; mirrored keys stay. Rejects when it cannot start or continue. */
export async function runKvstoremesh(
  flags: KvstoremeshFlags,
  runtime: Runtime,
  timing: KvstoremeshTiming = { ...LEADERSHIP_TIMING, ...LEADER_TIMING },
): Promise<void> {
  const config = kvstoremeshConfig(flags);
  const tracer = flags.traceEndpoint === '' ? undefined : await tracerOf(flags, runtime);
  const reports = config.reports && (await openReports(config.reports, runtime));
  try {
    await runMirror(config, runtime, timing, { reports, tracer });
  } finally {
    await reports?.close();
  }
}

/** Loaded only where it is wanted, like the reports. */
async function tracerOf(flags: KvstoremeshFlags, runtime: Runtime): Promise<Tracer> {
  const { openTracer } = await import('../shared/tracing/open-tracer.ts');
  return openTracer(flags, 'kvstoremesh', runtime);
}

/** Loaded only where it is wanted: the client of Kubernetes takes memory. */
async function openReports(config: ReportsConfig, { clock, log, metrics }: Runtime): Promise<Reports> {
  const { Reports } = await import('./reports/reports.ts');
  return Reports.open(config, { clock, log, metrics });
}

async function runMirror(
  config: KvstoremeshConfig,
  runtime: Runtime,
  timing: KvstoremeshTiming,
  { reports, tracer }: { readonly reports: Reports | undefined; readonly tracer: Tracer | undefined },
): Promise<void> {
  const { clock, log, metrics, readiness } = runtime;
  const jobs = new JobGroup({ signal: runtime.signal, log });
  const { signal } = jobs;
  const health = new Health(metrics, readiness);
  const publisherMetrics = new PublisherMetrics(metrics, clock);
  const etcdMetrics = new EtcdMetrics(metrics);
  const all = () => leader.current?.remotes.all ?? [];
  const draining = () => leader.current?.remotes.draining ?? [];
  const rejected = publisherMetrics.rejectedKeys.bind(publisherMetrics);
  const { propagated } = registerMeshMetrics(metrics, { clusters: all, draining, rejected });
  const leader = new Leader({
    config,
    timing,
    clock,
    log,
    metrics: publisherMetrics,
    etcdMetrics,
    onPropagated: propagated,
    runsOf: countControllerRuns(metrics, config.controllerGroups),
    reports,
    tracer,
  });
  let local: EtcdClient | undefined;
  addEtcdChecks(health, {
    connection: () => local?.state,
    writeError: () => publisherMetrics.writeError,
    certificates: () => etcdMetrics.certificates(),
    clock,
  });
  health.addCheck('configuration directory', () => unreadableDirectory(leader.current));
  health.addCheck('remote clusters', () => all().flatMap(refusal));
  health.addCheck('configuration files', () => all().flatMap(unreadableFile));
  const selfCheck = new SelfCheck({
    health,
    certificates: () => etcdMetrics.certificates(),
    remotes: () => remoteProblems(all(), config.own),
    clock,
    log,
  });
  await serve(config, runtime, health, all, signal);

  const { client, endBootstrap } = await openLocalEtcd(config.kvstore, { clock, log, metrics: etcdMetrics }, signal);
  local = client;
  jobs.startJob('self-check', (jobSignal) => selfCheck.run(client, jobSignal));
  void leader.ready.then(() => {
    health.markReady();
    endBootstrap();
  });
  try {
    const place = await findLockPlace(KVSTOREMESH_LOCKS, log);
    const [lead, onStandby] = [(term: Term) => leader.lead(term), () => health.markReady()];
    const lock = { locks: KVSTOREMESH_LOCKS, ttlSeconds: config.lockTtlSeconds, client, place, clock, log };
    const leadership = { ...lock, name: 'kvstoremesh', metrics, timing, onStandby, lead };
    if (tracer !== undefined) jobs.startJob('traces', (jobSignal) => tracer.run(jobSignal));
    jobs.startJob('leadership', (jobSignal) => runLeadership(leadership, jobSignal));
    await jobs.done();
  } finally {
    client.close();
  }
}

function unreadableDirectory(term: CurrentTerm | undefined): string | undefined {
  const problem = term?.directory.problem;
  return problem && `${problem}; all clusters are kept until it can be read`;
}

/** Why a remote that responds is not mirrored. An unreachable one is reported by its status: that is expected, and retried. */
function refusal({ name, state: { phase } }: RemoteCluster): string[] {
  return phase.kind === 'refused' || phase.kind === 'stopped' ? [`${name} is ${phase.kind}: ${phase.reason}`] : [];
}

/** With the name of the file: the log has its path. */
function unreadableFile({ name, fileProblem }: RemoteCluster): string[] {
  return fileProblem === undefined ? [] : [`${name} cannot be read: ${fileProblem}; its last configuration is kept`];
}

async function serve(
  { servers, remotes: { limits, importGuard } }: KvstoremeshConfig,
  { log, metrics }: Runtime,
  health: Health,
  clusters: () => readonly RemoteCluster[],
  signal: AbortSignal,
): Promise<void> {
  registerRemoteMetrics(metrics, clusters, limits);
  const { allowedHosts, healthPort, api, metrics: scrapes } = servers;
  await serveHealthOn(healthPort, health, { allowedHosts, log, signal });
  const findings = () => clusters().flatMap(({ name, guard }) => (guard === undefined ? [] : [[name, guard.findings] as const]));
  const resources = {
    '/v1/cluster': () => remoteClusterStatuses(clusters()),
    '/v1/import-guard': () => importGuardReport(importGuard, findings()),
    '/swagger.json': () => OPENAPI,
  };
  if (api !== undefined) await serveJson(resources, { address: api, flag: 'api-serve-addr', allowedHosts, signal });
  if (scrapes !== undefined)
    await serveMetrics(metrics, { address: scrapes, flag: 'prometheus-serve-addr', allowedHosts, signal });
}
