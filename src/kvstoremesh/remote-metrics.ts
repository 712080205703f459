/**
 * The remote clusters as Prometheus series, under the original's names. Read from the clusters at each
 * scrape, so that a cluster has its series from the moment it is configured, and none once it is not.
 */
import type { Gauge, Registry } from '../shared/metrics.ts';
import type { RemoteCluster } from './remote-cluster.ts';
import { isRemoteReady } from './status.ts';

export function registerRemoteMetrics(registry: Registry, clusters: () => readonly RemoteCluster[]): void {
  registry.gauge('remote_clusters', 'Remote clusters that are configured', [], (gauge) => gauge.set(clusters().length));
  const perCluster = (name: string, help: string, value: (remote: RemoteCluster) => number) =>
    registry.gauge(name, help, ['target_cluster'], (gauge: Gauge<'target_cluster'>) => {
      gauge.reset();
      for (const remote of clusters()) gauge.set({ target_cluster: remote.name }, value(remote));
    });
  perCluster('remote_cluster_failures', 'Connections to the remote cluster that were lost', ({ state }) => state.failures);
  perCluster('remote_cluster_last_failure_ts', 'Unix time of the last loss, in seconds; 0 for never', ({ state }) =>
    Math.floor((state.lastFailureMs ?? 0) / 1000),
  );
  perCluster('remote_cluster_readiness_status', 'Whether the remote cluster is connected and completely read', (remote) =>
    Number(isRemoteReady(remote)),
  );
  perCluster(
    'remote_cluster_cache_revocations',
    'How often the services of the remote cluster were withdrawn because it was not heard of',
    ({ revocations }) => revocations,
  );
}
