/** The `clustermesh` daemon, wired together: Kubernetes as the source, one publisher, the local etcd. */

import { once } from 'node:events';
import { parseClusterInfo } from '../shared/cluster-info.ts';
import { addEtcdChecks } from '../shared/etcd/health.ts';
import { CLUSTER_CONFIGS, ROOT } from '../shared/etcd/keyspace.ts';
import { type LocalEtcd, openLocalEtcd } from '../shared/etcd/local-etcd.ts';
import { EtcdMetrics, scopeOf } from '../shared/etcd/metrics.ts';
import { parseKvstoreOptions } from '../shared/flags/kvstore-options.ts';
import { Health } from '../shared/http/health.ts';
import { parseListenAddress } from '../shared/http/listen-address.ts';
import { serveHealth, serveMetrics } from '../shared/http/server.ts';
import type { KubeConnection } from '../shared/kubernetes/connection/connection.ts';
import { openFlaggedConnection } from '../shared/kubernetes/connection/flagged-connection.ts';
import { runHeartbeat as runKubernetesHeartbeat } from '../shared/kubernetes/heartbeat.ts';
import { namespaceProjection } from '../shared/kubernetes/objects/projections.ts';
import { NAMESPACES } from '../shared/kubernetes/objects/resources.ts';
import { checkVersion } from '../shared/kubernetes/version.ts';
import { countControllerRuns } from '../shared/process/controller-runs.ts';
import { JobGroup } from '../shared/process/jobs.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import { holdClusterConfigMarker } from '../shared/publisher/cluster-config-marker.ts';
import { runHeartbeat } from '../shared/publisher/heartbeat.ts';
import { PublisherMetrics } from '../shared/publisher/metrics.ts';
import { createPublisher } from '../shared/publisher/publisher.ts';
import type { Publisher } from '../shared/publisher/types.ts';
import { exportCiliumKinds } from './cilium-kinds.ts';
import { convertClusterConfig } from './converters/cluster-config.ts';
import { type Cluster, canaryKey } from './encoding/keyspace.ts';
import { namespaceFilter, tellUnknownNames } from './export/export-filter.ts';
import { Namespaces } from './export/namespaces.ts';
import { ObjectRejections } from './export/object-rejections.ts';
import type { ApiserverFlags } from './flags.ts';
import { KubernetesHealth } from './informers/health.ts';
import { Informers } from './informers/informers.ts';
import { KubernetesMetrics } from './informers/metrics.ts';
import { installMcsApi } from './mcs-api/installation.ts';
import { openSections, type Sections } from './sections.ts';
import { exportServiceKinds } from './service-kinds.ts';
import { runUsers } from './users/run.ts';

/** Runs until the signal is aborted, then resolves; written keys stay. Rejects when it cannot start or continue. */
export async function runApiserver(flags: ApiserverFlags, runtime: Runtime): Promise<void> {
  parseClusterInfo(flags);
  const { strictServerNames } = flags;
  const kvstore = { ...parseKvstoreOptions(flags.kvstoreOpt), strictServerNames };
  const { clock, log } = runtime;
  const stop = new AbortController();
  const jobs = new JobGroup({ signal: AbortSignal.any([runtime.signal, stop.signal]), log });
  const { signal } = jobs;
  let connection: KubeConnection | undefined;
  let etcd: LocalEtcd | undefined;
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
    const connected = health.addCheck('Kubernetes', () => 'waiting for the Kubernetes API server');
    connection = await openFlaggedConnection(flags, runtime);
    const { server } = connection;
    log.info({ server, version: await checkVersion({ connection, clock, log, signal }) }, 'connected to Kubernetes');
    connected();
    etcd = await openLocalEtcd(kvstore, { clock, log, metrics: etcdMetrics }, signal);
    startExport({ flags, runtime, jobs, health, connection, etcd, publisherMetrics });
    await jobs.done();
  } finally {
    stop.abort();
    etcd?.client.close();
    await connection?.close();
  }
}

async function serve(flags: ApiserverFlags, { metrics }: Runtime, signal: AbortSignal): Promise<Health> {
  const health = new Health(metrics);
  const { allowedHosts } = flags;
  const healthAddress = { host: undefined, port: flags.healthPort };
  await serveHealth(health, { address: healthAddress, flag: 'health-port', allowedHosts, signal });
  const address = parseListenAddress(flags.prometheusServeAddr);
  if (address !== undefined) await serveMetrics(metrics, { address, flag: 'prometheus-serve-addr', allowedHosts, signal });
  return health;
}

interface Parts {
  readonly flags: ApiserverFlags;
  readonly runtime: Runtime;
  readonly jobs: JobGroup;
  readonly health: Health;
  readonly connection: KubeConnection;
  readonly etcd: LocalEtcd;
  readonly publisherMetrics: PublisherMetrics;
}

function startExport({ flags, runtime, jobs, health, connection, etcd, publisherMetrics }: Parts): void {
  const { clock, log, metrics } = runtime;
  const cluster = { name: flags.clusterName, id: flags.clusterId };
  const servicesExported = flags.clustermeshServiceV2 !== 'only-endpointslice';
  const runsOf = countControllerRuns(metrics, flags.controllerGroupMetrics);
  const leaseTtlSeconds = Math.floor(flags.kvstoreLeaseTtlMs / 1000);
  const publisher = createPublisher({ client: etcd.client, root: ROOT, leaseTtlSeconds, clock, log, observer: publisherMetrics });
  publisherMetrics.setPublisher(publisher);
  const isListed = () => publisher.stats.singlesListed;
  publisherMetrics.addWatched({ scope: scopeOf(CLUSTER_CONFIGS), cluster: cluster.name, isListed });
  const sections = openSections({ publisher, metrics: publisherMetrics, cluster, servicesExported });

  const { exportNamespaces, exportNamespaceSelector } = flags;
  const takesNamespace = namespaceFilter(exportNamespaces, exportNamespaceSelector);
  const namespaces = new Namespaces(flags.clustermeshDefaultGlobalNamespace, takesNamespace);
  tellUnknownNames(exportNamespaces, namespaces, log);
  const context = { cluster, namespaces, rejections: new ObjectRejections(log, metrics), clock, signal: jobs.signal };
  const kubernetesHealth = new KubernetesHealth();
  health.addCheck('Kubernetes', () => kubernetesHealth.problems());
  const reflectorMetrics = new KubernetesMetrics(metrics);
  const informers = new Informers({ connection, jobs, metrics: reflectorMetrics, health: kubernetesHealth, clock, log });
  informers.follow({ resource: NAMESPACES, project: namespaceProjection(exportNamespaceSelector.labelNames) }, namespaces);
  exportServiceKinds({
    informers,
    context,
    sections,
    serviceProxyName: flags.k8sServiceProxyName,
    labelSelector: flags.exportSelector.text,
    servicesExported,
    serviceExportsEnabled: flags.clustermeshEnableMcsApi,
  });

  const start = (name: string, run: (signal: AbortSignal) => Promise<void>) => jobs.startJob(name, run);
  start('publisher', (signal) => publisher.run(signal));
  start('heartbeat', (signal) => runHeartbeat(publisher.singles, clock, log, signal));
  const marker = { singles: publisher.singles, client: etcd.client, clock, log };
  start('cluster config marker', (signal) => holdClusterConfigMarker(marker, signal));
  if (flags.clusterUsersEnabled) {
    const users = {
      path: flags.clusterUsersConfigPath,
      cluster: cluster.name,
      auth: etcd.client.auth,
      clock,
      log,
      metrics,
      health,
      onRun: runsOf('clustermesh-users-management'),
    };
    start('users', (signal) => runUsers(users, signal));
  }
  start('announcement', async (signal) => {
    await announce({ flags, cluster, servicesExported, publisher, sections }, signal);
    health.markReady();
    etcd.endBootstrap();
    log.info('ready');
    await untilAborted(signal);
  });
  start('Cilium kinds', async (signal) => {
    const usesEndpointSlices = flags.enableCiliumEndpointSlice;
    const crdWaitTimeoutMs = flags.crdWaitTimeoutMs;
    await exportCiliumKinds({ informers, context, sections, usesEndpointSlices, crdWaitTimeoutMs }, signal);
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
      runKubernetesHeartbeat({ connection, intervalMs, clock, log, signal, onBeat: runsOf('k8s-heartbeat') }),
    );
}

interface Announcement {
  readonly flags: ApiserverFlags;
  readonly cluster: Cluster;
  readonly servicesExported: boolean;
  readonly publisher: Publisher;
  readonly sections: Sections;
}

/** Publishes the settings of this cluster to its peers; resolves when all of its exports are in etcd. */
async function announce(options: Announcement, signal: AbortSignal): Promise<void> {
  const { flags, cluster, servicesExported, publisher, sections } = options;
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
