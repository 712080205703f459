/** The `clustermesh` daemon, wired together: its servers, Kubernetes, the local etcd, and the term that exports. */

import { parseClusterInfo } from '../shared/cluster-info.ts';
import { SelfCheck } from '../shared/doctor/self-check.ts';
import { addEtcdChecks } from '../shared/etcd/health.ts';
import { CLUSTERMESH_LOCKS } from '../shared/etcd/keyspace.ts';
import { type LocalEtcd, openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { EtcdMetrics } from '../shared/etcd/metrics.ts';
import { parseKvstoreOptions } from '../shared/flags/kvstore-options.ts';
import { Health } from '../shared/http/health.ts';
import { parseListenAddress } from '../shared/http/listen-address.ts';
import { serveMetrics } from '../shared/http/server.ts';
import type { KubeConnection } from '../shared/kubernetes/connection/connection.ts';
import { openFlaggedConnection } from '../shared/kubernetes/connection/flagged-connection.ts';
import { checkVersion } from '../shared/kubernetes/version.ts';
import type { LeadershipTiming } from '../shared/leadership/leadership.ts';
import { LEADERSHIP_TIMING, runLeadership } from '../shared/leadership/leadership.ts';
import { findLockPlace } from '../shared/leadership/lock-place.ts';
import { serveHealthOn } from '../shared/process/health-port.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import { PublisherMetrics } from '../shared/publisher/metrics.ts';
import { LinkedAbort } from '../shared/time/abort.ts';
import type { Tracer } from '../shared/tracing/tracer.ts';
import type { ApiserverFlags } from './flags.ts';
import { runTerm, type TermOptions, termMetrics } from './term.ts';

/** Runs until the signal is aborted, then resolves; written keys stay. Rejects when it cannot start or continue. */
export async function runApiserver(
  flags: ApiserverFlags,
  runtime: Runtime,
  timing: LeadershipTiming = LEADERSHIP_TIMING,
): Promise<void> {
  parseClusterInfo(flags);
  const { strictServerNames } = flags;
  const kvstore = { ...parseKvstoreOptions(flags.kvstoreOpt), strictServerNames };
  const { clock, log } = runtime;
  const tracer = flags.traceEndpoint === '' ? undefined : await tracerOf(flags, runtime);
  const stop = new LinkedAbort(runtime.signal);
  const { signal } = stop;
  let connection: KubeConnection | undefined;
  let etcd: LocalEtcd | undefined;
  let checking: Promise<void> | undefined;
  try {
    const health = await serve(flags, runtime, signal);
    const publisherMetrics = new PublisherMetrics(runtime.metrics, clock);
    const etcdMetrics = new EtcdMetrics(runtime.metrics);
    addEtcdChecks(health, {
      connection: () => etcd?.client.state,
      writeError: () => publisherMetrics.writeError,
      certificates: () => etcdMetrics.certificates(),
      clock,
    });
    const selfCheck = new SelfCheck({ health, certificates: () => etcdMetrics.certificates(), clock, log });
    const connected = health.addCheck('Kubernetes', () => 'waiting for the Kubernetes API server');
    connection = await openFlaggedConnection(flags, runtime);
    const { server } = connection;
    log.info({ server, version: await checkVersion({ connection, clock, log, signal }) }, 'connected to Kubernetes');
    connected();
    etcd = await openLocalEtcd(kvstore, { clock, log, metrics: etcdMetrics }, signal);
    checking = selfCheck.run(etcd.client, signal);
    const metrics = termMetrics(flags, publisherMetrics, runtime.metrics, log);
    void tracer?.run(signal);
    const term = { flags, clock, log, health, connection, etcd, metrics, tracer };
    if (flags.leaderElection) await exportAsLeader(term, runtime, timing, signal);
    else await runTerm(term, etcd.client, signal);
  } finally {
    stop.abort();
    await checking;
    etcd?.client.close();
    await connection?.close();
  }
}

/** Loaded only where it is wanted. */
async function tracerOf(flags: ApiserverFlags, runtime: Runtime): Promise<Tracer> {
  const { openTracer } = await import('../shared/tracing/open-tracer.ts');
  return openTracer(flags, 'clustermesh', runtime);
}

/** Takes part in the election, and exports while this replica is the leader. */
async function exportAsLeader(
  term: TermOptions,
  { metrics }: Runtime,
  timing: LeadershipTiming,
  signal: AbortSignal,
): Promise<void> {
  const { flags, etcd, health, clock, log } = term;
  const locks = CLUSTERMESH_LOCKS;
  const ttlSeconds = Math.floor(flags.leaderElectionLeaseDurationMs / 1000);
  const lock = { locks, ttlSeconds, client: etcd.client, place: await findLockPlace(locks, log), clock, log };
  await runLeadership(
    {
      ...lock,
      name: 'clustermesh',
      metrics,
      timing,
      onStandby: () => health.markReady(),
      lead: ({ client, signal: termSignal }) => runTerm(term, client, termSignal),
    },
    signal,
  );
}

async function serve(flags: ApiserverFlags, { log, metrics, readiness }: Runtime, signal: AbortSignal): Promise<Health> {
  const health = new Health(metrics, readiness);
  const { allowedHosts } = flags;
  await serveHealthOn(flags.healthPort, health, { allowedHosts, log, signal });
  const address = parseListenAddress(flags.prometheusServeAddr);
  if (address !== undefined) await serveMetrics(metrics, { address, flag: 'prometheus-serve-addr', allowedHosts, signal });
  return health;
}
