/**
 * A term of the exporter: the informers of Kubernetes, one publisher, and everything else that writes.
 *
 * Without leader election it lasts as long as the process. With it there is one at a time among the replicas, and each starts
 * from what etcd holds: it adopts leases and writes only differences. A standby has no informers. Those of three replicas
 * would take three times the memory, and the Kubernetes API would serve three times the watches, to save the time of the
 * first listing after a takeover; until that is complete etcd keeps all keys.
 */
import { once } from 'node:events';
import { CLUSTER_CONFIGS, ROOT } from '../shared/etcd/keyspace.ts';
import type { LocalEtcd } from '../shared/etcd/local-etcd.ts';
import { scopeOf } from '../shared/etcd/metrics.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import type { Health } from '../shared/http/health.ts';
import type { Registry } from '../shared/http/metrics.ts';
import type { KubeConnection } from '../shared/kubernetes/connection/connection.ts';
import { runHeartbeat as runKubernetesHeartbeat } from '../shared/kubernetes/heartbeat.ts';
import { namespaceProjection } from '../shared/kubernetes/objects/projections.ts';
import { NAMESPACES } from '../shared/kubernetes/objects/resources.ts';
import { type ControllerGroup, countControllerRuns, type RunObserver } from '../shared/process/controller-runs.ts';
import { JobGroup } from '../shared/process/jobs.ts';
import type { Logger } from '../shared/process/log.ts';
import { holdClusterConfigMarker } from '../shared/publisher/cluster-config-marker.ts';
import { runHeartbeat } from '../shared/publisher/heartbeat.ts';
import type { PublisherMetrics } from '../shared/publisher/metrics.ts';
import { createPublisher } from '../shared/publisher/publisher.ts';
import type { Publisher } from '../shared/publisher/types.ts';
import type { Clock } from '../shared/time/clock.ts';
import type { Tracer } from '../shared/tracing/tracer.ts';
import { exportCiliumKinds } from './cilium-kinds.ts';
import { convertClusterConfig } from './converters/cluster-config.ts';
import { type Cluster, canaryKey, type Scope } from './encoding/keyspace.ts';
import { namespaceFilter, tellUnknownNames } from './export/export-filter.ts';
import { Namespaces } from './export/namespaces.ts';
import { ObjectRejections } from './export/object-rejections.ts';
import { ObjectTraces } from './export/object-traces.ts';
import { EndpointCountMetrics, EndpointCounts } from './export/selection/endpoint-counts.ts';
import type { ApiserverFlags } from './flags.ts';
import { KubernetesHealth } from './informers/health.ts';
import { Informers } from './informers/informers.ts';
import { KubernetesMetrics } from './informers/metrics.ts';
import { installMcsApi } from './mcs-api/installation.ts';
import { openSections, type Sections } from './sections.ts';
import { exportServiceKinds } from './service-kinds.ts';
import { permitCacheReaders } from './users/cache-readers.ts';
import { runUsers } from './users/run.ts';
import { UsersMetrics } from './users/users-report.ts';

/** The series of the process, which all of its terms continue. */
export interface TermMetrics {
  readonly publisher: PublisherMetrics;
  readonly reflectors: KubernetesMetrics;
  readonly rejections: ObjectRejections;
  /** Undefined where the users of etcd are not synchronized. */
  readonly users: UsersMetrics | undefined;
  /** Undefined where endpoints are not selected. */
  readonly endpoints: EndpointCountMetrics | undefined;
  readonly runsOf: (group: ControllerGroup) => RunObserver | undefined;
}

/** Registers all but those of `publisher`. */
export function termMetrics(flags: ApiserverFlags, publisher: PublisherMetrics, registry: Registry, log: Logger): TermMetrics {
  return {
    publisher,
    runsOf: countControllerRuns(registry, flags.controllerGroupMetrics),
    rejections: new ObjectRejections(log, registry),
    reflectors: new KubernetesMetrics(registry),
    users: flags.clusterUsersEnabled ? new UsersMetrics(registry) : undefined,
    endpoints: flags.exportEndpointSelector.text === '' ? undefined : new EndpointCountMetrics(registry),
  };
}

export interface TermOptions {
  readonly flags: ApiserverFlags;
  readonly clock: Clock;
  readonly log: Logger;
  readonly health: Health;
  readonly connection: KubeConnection;
  /** For the users of etcd, whose changes etcd cannot make dependent on the leader lock. */
  readonly etcd: LocalEtcd;
  readonly metrics: TermMetrics;
  /** Undefined where nothing is traced. */
  readonly tracer: Tracer | undefined;
}

/** Exports through `client` until the signal is aborted, then resolves; written keys stay. Rejects when it cannot continue. */
export async function runTerm(options: TermOptions, client: EtcdClient, signal: AbortSignal): Promise<void> {
  const { flags, clock, log, health, metrics } = options;
  const jobs = new JobGroup({ signal, log });
  const cluster = { name: flags.clusterName, id: flags.clusterId };
  const leaseTtlSeconds = Math.floor(flags.kvstoreLeaseTtlMs / 1000);
  const isFenced = flags.leaderElection;
  const publisher = createPublisher({ client, root: ROOT, leaseTtlSeconds, clock, log, observer: metrics.publisher, isFenced });
  metrics.publisher.setPublisher(publisher);
  const isListed = () => publisher.stats.singlesListed;
  const forgetWatched = metrics.publisher.addWatched({ scope: scopeOf(CLUSTER_CONFIGS), cluster: cluster.name, isListed });
  const servicesExported = flags.clustermeshServiceV2 !== 'only-endpointslice';
  const sections = openSections({ publisher, metrics: metrics.publisher, cluster, servicesExported });
  const kubernetesHealth = new KubernetesHealth();
  const forgetHealth = health.addCheck('Kubernetes', () => kubernetesHealth.problems());
  startJobs({ ...options, client, jobs, cluster, servicesExported, publisher, sections, kubernetesHealth });
  try {
    await jobs.done();
  } finally {
    forgetHealth();
    forgetWatched();
    metrics.publisher.setPublisher(undefined);
    for (const section of Object.values(sections)) metrics.publisher.removeSection(section);
    metrics.reflectors.forgetStates();
    metrics.endpoints?.setCounts(undefined);
  }
}

interface Parts extends TermOptions {
  readonly client: EtcdClient;
  readonly jobs: JobGroup;
  readonly cluster: Cluster;
  readonly servicesExported: boolean;
  readonly publisher: Publisher & { run(signal: AbortSignal): Promise<void> };
  readonly sections: Sections;
  readonly kubernetesHealth: KubernetesHealth;
}

function startJobs(parts: Parts): void {
  const { flags, clock, log, health, connection, etcd, metrics, client, jobs, cluster, publisher, sections } = parts;
  const { exportNamespaces, exportNamespaceSelector } = flags;
  const takesNamespace = namespaceFilter(exportNamespaces, exportNamespaceSelector);
  const namespaces = new Namespaces(flags.clustermeshDefaultGlobalNamespace, takesNamespace);
  tellUnknownNames(exportNamespaces, namespaces, log);
  const { signal: jobsSignal } = jobs;
  const { tracer } = parts;
  const tracesOf = tracer && ((scope: Scope) => new ObjectTraces({ tracer, section: sections[scope], signal: jobsSignal }));
  const context = { cluster, namespaces, rejections: metrics.rejections, tracesOf, clock, signal: jobsSignal };
  const informers = new Informers({
    connection,
    jobs,
    metrics: metrics.reflectors,
    health: parts.kubernetesHealth,
    clock,
    log,
  });
  informers.follow({ resource: NAMESPACES, project: namespaceProjection(exportNamespaceSelector.labelNames) }, namespaces);
  exportServiceKinds({
    informers,
    context,
    sections,
    serviceProxyName: flags.k8sServiceProxyName,
    labelSelector: flags.exportSelector.text,
    servicesExported: parts.servicesExported,
    serviceExportsEnabled: flags.clustermeshEnableMcsApi,
  });

  const start = (name: string, run: (signal: AbortSignal) => Promise<void>) => jobs.startJob(name, run);
  start('publisher', (signal) => publisher.run(signal));
  start('heartbeat', (signal) => runHeartbeat(publisher.singles, clock, log, signal));
  const marker = { singles: publisher.singles, client, clock, log };
  start('cluster config marker', (signal) => holdClusterConfigMarker(marker, signal));
  if (metrics.users !== undefined) {
    const users = {
      path: flags.clusterUsersConfigPath,
      cluster: cluster.name,
      auth: etcd.client.auth,
      clock,
      log,
      metrics: metrics.users,
      health,
      onRun: metrics.runsOf('clustermesh-users-management'),
    };
    start('users', (signal) => runUsers(users, signal));
  }
  if (flags.enableExternalWorkloads !== undefined) {
    start('cache readers', async (signal) => {
      await permitCacheReaders({ auth: etcd.client.auth, clock, log }, signal);
      await untilAborted(signal);
    });
  }
  start('announcement', async (signal) => {
    await announce(parts, signal);
    health.markReady();
    etcd.endBootstrap();
    log.info('ready');
    await untilAborted(signal);
  });
  start('Cilium kinds', async (signal) => {
    const usesEndpointSlices = flags.enableCiliumEndpointSlice;
    const crdWaitTimeoutMs = flags.crdWaitTimeoutMs;
    const selected = metrics.endpoints && { selector: flags.exportEndpointSelector, counts: new EndpointCounts() };
    metrics.endpoints?.setCounts(selected?.counts);
    await exportCiliumKinds({ informers, context, sections, usesEndpointSlices, crdWaitTimeoutMs, selected }, signal);
    await untilAborted(signal);
  });
  if (flags.clustermeshEnableMcsApi && flags.clustermeshMcsApiInstallCrds) {
    start('CRDs of the MCS API', async (signal) => {
      await installMcsApi({ connection, clock, log }, signal);
      await untilAborted(signal);
    });
  }
  const intervalMs = flags.k8sHeartbeatTimeoutMs;
  if (intervalMs > 0)
    start('Kubernetes heartbeat', (signal) =>
      runKubernetesHeartbeat({ connection, intervalMs, clock, log, signal, onBeat: metrics.runsOf('k8s-heartbeat') }),
    );
}

/** Publishes the settings of this cluster to its peers; resolves when all of its exports are in etcd. */
async function announce(parts: Parts, signal: AbortSignal): Promise<void> {
  const { flags, cluster, servicesExported, publisher, sections } = parts;
  const config = convertClusterConfig(cluster, {
    maxConnectedClusters: flags.maxConnectedClusters,
    serviceExportsEnabled: flags.clustermeshEnableMcsApi,
    servicesExported,
  });
  await publisher.singles.put(config.key, config.value, signal);
  if (!servicesExported) await publisher.singles.remove(canaryKey(cluster, 'services/v1'), signal);
  await Promise.all(Object.values(sections).map((section) => section.whenSynced(signal)));
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
