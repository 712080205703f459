/**
 * Metrics of the mirrors that the original does not have. Like the others of a
 * remote cluster they exist while it is configured.
 */
import type { Registry } from '../../shared/http/metrics.ts';
import { REJECT_REASONS } from '../../shared/publisher/metrics.ts';
import type { RejectReason } from '../../shared/publisher/types.ts';
import type { RemoteCluster } from '../remote/cluster.ts';
import { perCluster } from './remote-metrics.ts';

/** From a write to an etcd next door to one that has to wait for a restart. */
const PROPAGATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Beside the reasons of the publisher. */
const BY_GUARD = 'import_guard';

export interface MeshMetricsOptions {
  readonly clusters: () => readonly RemoteCluster[];
  /** Those that are being removed. */
  readonly draining: () => readonly string[];
  /** Keys of the cluster that were not taken, for the reason. */
  readonly rejected: (cluster: string, reason: RejectReason) => number;
}

export interface MeshMetrics {
  /** A change was confirmed so long after it was read. */
  readonly propagated: (seconds: number) => void;
}

export function registerMeshMetrics(registry: Registry, { clusters, draining, rejected }: MeshMetricsOptions): MeshMetrics {
  registry.gauge(
    'remote_clusters_draining',
    'Clusters that are no longer configured and whose keys are being removed',
    [],
    (gauge) => gauge.set(draining().length),
  );
  const remotes = perCluster(clusters);
  registry.gaugeFrom(
    'remote_cluster_staleness_seconds',
    'Seconds since the mirror of the remote cluster was last confirmed up to date, or since the cluster was added',
    { ...remotes, value: ({ stalenessMs }) => stalenessMs / 1000 },
  );
  registry.gaugeFrom(
    'initial_sync_seconds',
    'Seconds from the addition of the remote cluster until its first listing was written, canaries included; absent until then',
    { ...remotes, value: ({ initialSyncMs }) => (initialSyncMs === undefined ? undefined : initialSyncMs / 1000) },
  );
  registry.counterFrom('remote_cluster_rejected_keys_total', 'Keys and values of the remote cluster that were not mirrored', {
    ...remotes,
    column: { label: 'reason', values: [...REJECT_REASONS, BY_GUARD] },
    value: ({ name, guard }, reason) => (reason === BY_GUARD ? (guard?.dropped ?? 0) : rejected(name, reason)),
  });
  const delay = registry.histogram(
    'propagation_delay_seconds',
    'Seconds from reading a change of a remote cluster until the local etcd confirmed it; excludes the delay before the change arrived',
    [],
    PROPAGATION_BUCKETS,
  );
  return { propagated: (seconds) => delay.observe({}, seconds) };
}
