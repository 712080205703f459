/** The `kvstoremesh` daemon, wired together: its servers, the local etcd, and the leader that mirrors into it. */

import { hostname } from 'node:os';
import { SelfCheck } from '../shared/doctor/self-check.ts';
import { addEtcdChecks } from '../shared/etcd/health.ts';
import { KVSTOREMESH_LOCKS } from '../shared/etcd/keyspace.ts';
import { openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { EtcdMetrics } from '../shared/etcd/metrics.ts';
import type { EtcdClient, EtcdKey } from '../shared/etcd/types.ts';
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
import { VERSION } from '../shared/version.ts';
import type { KvstoremeshConfig, KvstoremeshFlags, ReportsConfig } from './flags.ts';
import { kvstoremeshConfig } from './flags.ts';
import { importGuardReport } from './import-guard/report.ts';
import { type PolicyInForce, policyFindings } from './import-policy/problems.ts';
import { importPolicyReport } from './import-policy/report.ts';
import { CurrentPolicy, followPolicyFile } from './import-policy/rules/current-policy.ts';
import { MeshHistory } from './page/history.ts';
import { PAGE_SAMPLE_MS } from './page/limits.ts';
import { type StatusPage, statusPage } from './page/page.ts';
import type { MeshSummary } from './page/snapshot.ts';
import type { RemoteCluster } from './remote/cluster.ts';
import type { Reports } from './reports/reports.ts';
import { registerMeshMetrics } from './status/mesh-metrics.ts';
import { OPENAPI } from './status/openapi.ts';
import { registerRemoteMetrics } from './status/remote-metrics.ts';
import { remoteProblems } from './status/remote-problems.ts';
import { remoteClusterStatuses } from './status/status.ts';
import { type CurrentTerm, LEADER_TIMING, Leader, type LeaderTiming } from './term.ts';

export interface KvstoremeshTiming extends LeadershipTiming, LeaderTiming {
  /** Between two samples of each remote for the status page. */
  readonly sampleMs: number;
}

export const KVSTOREMESH_TIMING: KvstoremeshTiming = { ...LEADERSHIP_TIMING, ...LEADER_TIMING, sampleMs: PAGE_SAMPLE_MS };

/** Runs until the signal is aborted, then resolves; mirrored keys stay. Rejects when it cannot start or continue. */
export async function runKvstoremesh(
  flags: KvstoremeshFlags,
  runtime: Runtime,
  timing: KvstoremeshTiming = KVSTOREMESH_TIMING,
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
  const history = new MeshHistory(clock);
  const policy = config.importPolicy === '' ? undefined : new CurrentPolicy();
  const leader = new Leader({
    config,
    reader: history,
    timing,
    clock,
    log,
    metrics: publisherMetrics,
    etcdMetrics,
    onPropagated: propagated,
    runsOf: countControllerRuns(metrics, config.controllerGroups),
    reports,
    tracer,
    policy,
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
  let leaderKey: EtcdKey | undefined;
  const mesh = () =>
    meshSummary(config, health, { isLeader: leader.current !== undefined, leaderKey, sampleMs: timing.sampleMs });
  const certificatesOf = etcdMetrics.certificatesOf.bind(etcdMetrics);
  const page = statusPage({ mesh, remotes: all, draining, certificatesOf }, history, clock);
  const inForce = { path: config.importPolicy, policy };
  await serve(config, runtime, { health, clusters: all, page, policy: inForce }, signal);
  if (policy !== undefined) {
    const file = { path: config.importPolicy, policy, clock, log, metrics, health };
    jobs.startJob('import policy', (jobSignal) => followPolicyFile(file, jobSignal));
  }
  jobs.startJob('samples', (jobSignal) => history.run(all, timing.sampleMs, jobSignal));

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
    const onLeader = (key: EtcdKey) => {
      leaderKey = key;
    };
    const lock = { locks: KVSTOREMESH_LOCKS, ttlSeconds: config.lockTtlSeconds, client, place, onLeader, clock, log };
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

interface MeshState {
  readonly isLeader: boolean;
  /** Of the replica that leads; undefined until it is known. */
  readonly leaderKey: EtcdKey | undefined;
  readonly sampleMs: number;
}

function meshSummary(config: KvstoremeshConfig, health: Health, { isLeader, leaderKey, sampleMs }: MeshState): MeshSummary {
  const { own, remotes } = config;
  return {
    name: own.name,
    id: own.id,
    version: VERSION.version,
    host: hostname(),
    role: isLeader ? 'leader' : leaderKey === undefined ? 'starting' : 'standby',
    ...(leaderKey !== undefined && { leader: leaderKey }),
    problems: health
      .publicProblems(({ isOfRemote }) => isOfRemote !== true)
      .filter((problem) => !REMOTE_CHECKS.some((check) => problem.startsWith(`${check}: `))),
    importGuard: remotes.importGuard,
    sampleMs,
  };
}

/** Checks about single remotes, which have their own place on the status page. */
const REMOTE_CHECKS = ['remote clusters', 'configuration files'];

interface Served {
  readonly health: Health;
  readonly clusters: () => readonly RemoteCluster[];
  readonly page: StatusPage;
  readonly policy: PolicyInForce;
}

async function serve(
  { servers, remotes: { limits, importGuard } }: KvstoremeshConfig,
  { log, metrics }: Runtime,
  { health, clusters, page, policy }: Served,
  signal: AbortSignal,
): Promise<void> {
  registerRemoteMetrics(metrics, clusters, limits);
  const { allowedHosts, healthPort, api, metrics: scrapes } = servers;
  await serveHealthOn(healthPort, health, { allowedHosts, log, signal });
  const findings = () => clusters().flatMap(({ name, guard }) => (guard === undefined ? [] : [[name, guard.findings] as const]));
  const resources = {
    '/v1/cluster': () => remoteClusterStatuses(clusters()),
    '/v1/import-guard': () => importGuardReport(importGuard, findings()),
    '/v1/import-policy': () => importPolicyReport(clusters(), policyFindings(policy, clusters())),
    '/swagger.json': () => OPENAPI,
    ...page.resources,
  };
  const { files, streams } = page;
  if (api !== undefined)
    await serveJson(resources, { address: api, flag: 'api-serve-addr', allowedHosts, files, streams, signal });
  if (scrapes !== undefined)
    await serveMetrics(metrics, { address: scrapes, flag: 'prometheus-serve-addr', allowedHosts, signal });
}
