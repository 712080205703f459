/**
 * The panels of the dashboard for Grafana. `SELECTOR` and `OF_ETCD` are the variables at its top: the label `cluster`, which a
 * Prometheus of one cluster does not have, and the job of the Pods, since a cluster may have other etcds.
 */

const MESH = 'cilium_kvstoremesh_';
const EXPORT = 'cilium_clustermesh_apiserver_';
const SELECTOR = 'cluster=~"$cluster"';
const OF_ETCD = `${SELECTOR}, job=~"$job"`;

export interface Query {
  readonly expr: string;
  /** In Grafana's notation. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** One sentence. */
  readonly description: string;
  readonly kind: 'stat' | 'timeseries' | 'state-timeline';
  /** Grafana's name of it. */
  readonly unit: string;
  readonly queries: readonly Query[];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

function stat(title: string, expr: string, description: string, unit = 'short'): Panel {
  return { title, description, kind: 'stat', unit, queries: [{ expr, legend: title }] };
}

function graph(title: string, unit: string, description: string, ...queries: readonly (readonly [string, string])[]): Panel {
  return { title, description, kind: 'timeseries', unit, queries: queries.map(([expr, legend]) => ({ expr, legend })) };
}

function states(title: string, description: string, ...queries: readonly (readonly [string, string])[]): Panel {
  return { ...graph(title, 'short', description, ...queries), kind: 'state-timeline' };
}

const mesh = (name: string, labels = '') => `${MESH}${name}{${[SELECTOR, labels].filter((part) => part !== '').join(', ')}}`;
const exporting = (name: string) => `${EXPORT}${name}{${SELECTOR}}`;
const etcd = (name: string) => `etcd_${name}{${OF_ETCD}}`;
const rate = (series: string) => `rate(${series}[$__rate_interval])`;
/** The same of both daemons. */
const both = (query: (series: (name: string) => string) => string, legend: string) =>
  [
    [query(exporting), `clustermesh ${legend}`],
    [query((name) => mesh(name)), `kvstoremesh ${legend}`],
  ] as const;
const quantile = (q: number, buckets: string, by = 'le') => `histogram_quantile(${q}, sum by (${by}) (${rate(buckets)}))`;
const perRemote = (name: string) => `max by (target_cluster) (${mesh(name)})`;

const GLANCE: Row = {
  title: 'The mesh',
  panels: [
    stat('Remote clusters', `max(${mesh('remote_clusters')})`, 'Configured remote clusters.'),
    stat('Ready', `sum(${perRemote('remote_cluster_readiness_status')})`, 'Remote clusters that are connected and listed.'),
    stat(
      'Oldest mirror',
      `max(${mesh('remote_cluster_staleness_seconds')})`,
      'Maximum age of a mirror; below 10 s if healthy.',
      's',
    ),
    stat(
      'Keys waiting',
      `sum(${mesh('publisher_pending_keys')} or ${exporting('publisher_pending_keys')})`,
      'Keys that wait to be written to the local etcd.',
    ),
    stat('Problems', `sum(${mesh('health_problems')} or ${exporting('health_problems')})`, 'Lines of /healthz of both daemons.'),
    stat(
      'Firing alerts',
      `count(ALERTS{${SELECTOR}, alertname=~"ClusterMesh.*", alertstate="firing"}) or vector(0)`,
      'Alerts of the PrometheusRule.',
    ),
  ],
};

const REMOTES: Row = {
  title: 'Remote clusters',
  panels: [
    states('Ready', '1 while the remote cluster is connected and listed.', [
      perRemote('remote_cluster_readiness_status'),
      '{{target_cluster}}',
    ]),
    states(
      'Rejected or stopped',
      '1 while the name or ID is rejected, or mirroring stopped because of a limit.',
      [perRemote('remote_cluster_rejected'), '{{target_cluster}} rejected'],
      [perRemote('remote_cluster_stopped'), '{{target_cluster}} stopped'],
    ),
    graph('Age of the mirror', 's', 'Seconds since the mirror was last confirmed up to date.', [
      perRemote('remote_cluster_staleness_seconds'),
      '{{target_cluster}}',
    ]),
    graph('Lost connections', 'short', 'Lost connections since the start of the process.', [
      perRemote('remote_cluster_failures'),
      '{{target_cluster}}',
    ]),
    graph('First listing', 's', 'Seconds from the addition of the remote cluster until it was mirrored.', [
      perRemote('initial_sync_seconds'),
      '{{target_cluster}}',
    ]),
    graph('Changes', 'ops', 'Changes received per second.', [
      `sum by (target_cluster) (${rate(mesh('remote_cluster_changes_total'))})`,
      '{{target_cluster}}',
    ]),
  ],
};

const LAG: Row = {
  title: 'Lag and rate',
  panels: [
    graph(
      'Propagation',
      's',
      'From reading a change of a remote cluster until the local etcd confirmed it.',
      [quantile(0.5, mesh('propagation_delay_seconds_bucket')), 'p50'],
      [quantile(0.99, mesh('propagation_delay_seconds_bucket')), 'p99'],
    ),
    graph(
      'Keys waiting',
      'short',
      'Keys that wait to be written, by kind.',
      ...both((series) => `sum by (scope) (${series('kvstore_sync_queue_size')})`, '{{scope}}'),
    ),
    graph(
      'Operations on etcd',
      'ops',
      'Requests per second; a transaction is one.',
      ...both((series) => `sum by (action) (${rate(series('kvstore_operations_duration_seconds_count'))})`, '{{action}}'),
    ),
    graph(
      'Duration of operations, p99',
      's',
      'Of all operations on etcds, local and remote.',
      ...both((series) => quantile(0.99, series('kvstore_operations_duration_seconds_bucket')), 'p99'),
    ),
  ],
};

const KINDS: Row = {
  title: 'Keys by kind',
  panels: [
    graph('Exported', 'short', 'Keys of this cluster.', [`max by (scope) (${exporting('publisher_section_keys')})`, '{{scope}}']),
    graph('Mirrored', 'short', 'Keys of all remote clusters.', [
      `sum by (scope) (${mesh('publisher_section_keys')})`,
      '{{scope}}',
    ]),
    graph('Of each remote cluster', 'short', 'Mirrored keys; a limit applies.', [
      perRemote('remote_cluster_keys'),
      '{{target_cluster}}',
    ]),
    graph('Size of each remote cluster', 'bytes', 'Mirrored keys and values; a limit applies.', [
      perRemote('remote_cluster_bytes'),
      '{{target_cluster}}',
    ]),
  ],
};

const REJECTED: Row = {
  title: 'Import guard and rejected keys',
  panels: [
    graph('Findings', 'short', 'Current findings of the import guard.', [
      `max by (target_cluster, kind) (${mesh('import_guard_findings')})`,
      '{{target_cluster}} {{kind}}',
    ]),
    graph('Keys not mirrored', 'short', 'Rejected keys and values in an hour, by reason.', [
      `sum by (target_cluster, reason) (increase(${mesh('remote_cluster_rejected_keys_total')}[1h]))`,
      '{{target_cluster}} {{reason}}',
    ]),
    graph(
      'Objects not exported',
      'short',
      'Objects and parts of objects in an hour.',
      [`sum by (scope) (increase(${exporting('export_failures_total')}[1h]))`, '{{scope}}'],
      [`sum by (scope) (increase(${exporting('export_rejected_values_total')}[1h]))`, '{{scope}} parts'],
      [`sum by (resource) (increase(${exporting('kubernetes_malformed_objects_total')}[1h]))`, '{{resource}} malformed'],
    ),
    graph(
      'Repaired keys',
      'short',
      'Keys in an hour that another writer changed or removed, or whose lease was lost.',
      ...both((series) => `sum by (reason) (increase(${series('publisher_repairs_total')}[1h]))`, '{{reason}}'),
    ),
  ],
};

const SELECTION: Row = {
  title: 'Import policy and endpoint selection',
  panels: [
    graph('Imported keys', 'short', 'Mirrored keys of the remote clusters that have a rule in the import policy.', [
      `${perRemote('remote_cluster_keys')} and on (target_cluster) ${mesh('import_policy_excluded_keys')}`,
      '{{target_cluster}}',
    ]),
    graph('Excluded keys', 'short', 'Keys that the import policy excludes, without kinds that are not read.', [
      `max by (target_cluster, kind) (${mesh('import_policy_excluded_keys')})`,
      '{{target_cluster}} {{kind}}',
    ]),
    graph('Refused keys', 'short', 'Keys and values in an hour that the import policy refused, by the part of the rule.', [
      `sum by (target_cluster, rule) (increase(${mesh('import_policy_refused_total')}[1h]))`,
      '{{target_cluster}} {{rule}}',
    ]),
    graph('Selected endpoints', 'short', 'Endpoints that the selector exports or holds back.', [
      `max by (decision) (${exporting('export_endpoints')})`,
      '{{decision}}',
    ]),
  ],
};

const ETCD: Row = {
  title: 'etcd and certificates',
  panels: [
    graph(
      'Database',
      'bytes',
      'At the quota etcd refuses writes.',
      [`max(${etcd('mvcc_db_total_size_in_bytes')})`, 'size'],
      [`max(${etcd('mvcc_db_total_size_in_use_in_bytes')})`, 'in use'],
      [`min(${etcd('server_quota_backend_bytes')})`, 'quota'],
    ),
    graph(
      'Watchers and keys',
      'short',
      'Agents and remote clusters are the watchers.',
      [`sum(${etcd('debugging_mvcc_watcher_total')})`, 'watchers'],
      [`max(${etcd('debugging_mvcc_keys_total')})`, 'keys'],
    ),
    states('Leader of etcd', '1 for the member that leads.', [etcd('server_is_leader'), '{{instance}}']),
    graph('Sync of the log, p99', 's', 'Time to write the log to the disk.', [
      quantile(0.99, etcd('disk_wal_fsync_duration_seconds_bucket'), 'le, instance'),
      '{{instance}}',
    ]),
    graph(
      'Days until certificates expire',
      'd',
      'Of the TLS files that the daemons use.',
      ...both((series) => `min by (file) ((${series('certificate_expiry_timestamp_seconds')} - time()) / 86400)`, '{{file}}'),
    ),
  ],
};

const DAEMONS: Row = {
  title: 'Daemons',
  panels: [
    states('Leader', '1 for the replica that leads.', [mesh('leader_election_master_status'), '{{instance}}']),
    states(
      'Problems',
      'Lines of /healthz by check.',
      ...both((series) => `max by (check) (${series('health_problems')})`, '{{check}}'),
    ),
    states('Kubernetes', 'State of the reflector of each resource: 1 while it is watched.', [
      `max by (resource) (${EXPORT}kubernetes_reflector_state{${SELECTOR}, state="watching"})`,
      '{{resource}}',
    ]),
    graph(
      'Failed writes',
      'ops',
      'Failed writes to the local etcd per second.',
      ...both((series) => `sum by (scope) (${rate(series('kvstore_sync_errors_total'))})`, '{{scope}}'),
    ),
    graph('Memory', 'bytes', 'Resident memory of the processes.', [`process_resident_memory_bytes{${OF_ETCD}}`, '{{instance}}']),
    graph('CPU', 'short', 'Cores in use.', [rate(`process_cpu_seconds_total{${OF_ETCD}}`), '{{instance}}']),
    graph('Delay of the event loop, p99', 's', 'Of the daemons.', [
      `nodejs_eventloop_lag_p99_seconds{${OF_ETCD}}`,
      '{{instance}}',
    ]),
  ],
};

export const ROWS: readonly Row[] = [GLANCE, REMOTES, LAG, KINDS, REJECTED, SELECTION, ETCD, DAEMONS];
