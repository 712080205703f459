/** For each alert: series that let it fire, and series that do not. In the notation of promtool, one sample per minute. */

export type InputSeries = Readonly<Record<string, string>>;

export interface AlertCase {
  readonly alert: string;
  readonly fires: InputSeries;
  /** Close to `fires`. */
  readonly isQuiet: InputSeries;
  /** When both are evaluated. */
  readonly at: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

const MESH = 'cilium_kvstoremesh_';
const WEST = '{target_cluster="west"}';
const warning = { severity: 'warning' };
const critical = { severity: 'critical' };
const west = { target_cluster: 'west' };
const POD = 'pod="mesh-0", job="clustermesh-apiserver-metrics"';
const ofPod = { pod: 'mesh-0', job: 'clustermesh-apiserver-metrics' };

const REMOTES: readonly AlertCase[] = [
  {
    alert: 'ClusterMeshRemoteNotReady',
    fires: { [`${MESH}remote_cluster_readiness_status${WEST}`]: '0+0x20', [`${MESH}remote_cluster_rejected${WEST}`]: '0+0x20' },
    isQuiet: {
      // Ready again after nine minutes.
      [`${MESH}remote_cluster_readiness_status${WEST}`]: '0+0x8 1+0x20',
      [`${MESH}remote_cluster_readiness_status{target_cluster="north"}`]: '0+0x20',
      [`${MESH}remote_cluster_rejected{target_cluster="north"}`]: '1+0x20',
      [`${MESH}remote_cluster_readiness_status{target_cluster="south"}`]: '0+0x20',
      [`${MESH}remote_cluster_stopped{target_cluster="south"}`]: '1+0x20',
      [`${MESH}remote_cluster_readiness_status{target_cluster="coast"}`]: '0+0x20',
      [`${MESH}remote_cluster_quarantined{target_cluster="coast", mode="freeze"}`]: '1+0x20',
    },
    at: '12m',
    labels: { ...warning, ...west },
    summary: 'remote cluster west is not connected or not completely listed',
  },
  {
    alert: 'ClusterMeshRemoteStale',
    fires: { [`${MESH}remote_cluster_staleness_seconds${WEST}`]: '0+60x20' },
    isQuiet: {
      [`${MESH}remote_cluster_staleness_seconds${WEST}`]: '0+45x20',
      [`${MESH}remote_cluster_staleness_seconds{target_cluster="coast"}`]: '0+60x20',
      [`${MESH}remote_cluster_quarantined{target_cluster="coast", mode="withdraw"}`]: '1+0x20',
    },
    at: '20m',
    labels: { ...critical, ...west },
    summary: 'the mirror of remote cluster west was last up to date 20m 0s ago',
  },
  {
    alert: 'ClusterMeshRemoteUnstable',
    fires: { [`${MESH}remote_cluster_failures${WEST}`]: '0+0x10 0+1x6 6+0x20' },
    isQuiet: { [`${MESH}remote_cluster_failures${WEST}`]: '0+0x10 0+1x5 5+0x20' },
    at: '30m',
    labels: { ...warning, ...west },
    summary: 'the connection to remote cluster west was lost 6 times in an hour',
  },
  {
    alert: 'ClusterMeshRemoteRejected',
    fires: { [`${MESH}remote_cluster_rejected${WEST}`]: '1+0x10' },
    isQuiet: { [`${MESH}remote_cluster_rejected${WEST}`]: '0+0x2 1+0x2 0+0x10' },
    at: '6m',
    labels: { ...warning, ...west },
    summary: 'remote cluster west is rejected: its ID is invalid or in use, or its address leads to the local cluster',
  },
  {
    alert: 'ClusterMeshRemoteStopped',
    fires: { [`${MESH}remote_cluster_stopped${WEST}`]: '1+0x10' },
    isQuiet: { [`${MESH}remote_cluster_stopped${WEST}`]: '0+0x2 1+0x2 0+0x10' },
    at: '6m',
    labels: { ...warning, ...west },
    summary: 'mirroring of remote cluster west stopped: it exceeds a limit',
  },
  {
    alert: 'ClusterMeshRemoteQuarantined',
    fires: { [`${MESH}remote_cluster_quarantined{target_cluster="west", mode="freeze"}`]: '1+0x90' },
    isQuiet: { [`${MESH}remote_cluster_quarantined{target_cluster="west", mode="freeze"}`]: '1+0x50 0+0x40' },
    at: '70m',
    labels: { ...warning, ...west, mode: 'freeze' },
    summary: 'remote cluster west is in quarantine (freeze)',
  },
  ...['keys', 'bytes'].map((bound) => ({
    alert: 'ClusterMeshRemoteNearLimit',
    fires: {
      [`${MESH}remote_cluster_${bound}${WEST}`]: '90+0x30',
      [`${MESH}remote_cluster_bounds{bound="${bound}"}`]: '100+0x30',
    },
    isQuiet: {
      [`${MESH}remote_cluster_${bound}${WEST}`]: '79+0x30',
      [`${MESH}remote_cluster_bounds{bound="${bound}"}`]: '100+0x30',
      // 0 is no limit.
      [`${MESH}remote_cluster_${bound === 'keys' ? 'bytes' : 'keys'}${WEST}`]: '90+0x30',
      [`${MESH}remote_cluster_bounds{bound="${bound === 'keys' ? 'bytes' : 'keys'}"}`]: '0+0x30',
    },
    at: '20m',
    labels: { ...warning, ...west, bound },
    summary: `remote cluster west has 90% of the allowed ${bound}`,
  })),
  {
    alert: 'ClusterMeshRemoteKeysRejected',
    fires: { [`${MESH}remote_cluster_rejected_keys_total{target_cluster="west", reason="value_too_large"}`]: '0+0x10 1+0x30' },
    isQuiet: {
      [`${MESH}remote_cluster_rejected_keys_total{target_cluster="west", reason="value_too_large"}`]: '3+0x40',
      [`${MESH}remote_cluster_rejected_keys_total{target_cluster="west", reason="import_guard"}`]: '0+1x40',
    },
    at: '30m',
    labels: { ...warning, ...west, reason: 'value_too_large' },
    summary: 'keys of remote cluster west were not mirrored: value_too_large',
  },
  {
    alert: 'ClusterMeshRemoteServicesWithdrawn',
    fires: { [`${MESH}remote_cluster_cache_revocations${WEST}`]: '0+0x10 1+0x30' },
    isQuiet: { [`${MESH}remote_cluster_cache_revocations${WEST}`]: '1+0x40' },
    at: '30m',
    labels: { ...warning, ...west },
    summary: 'the services of remote cluster west were withdrawn because it was unreachable',
  },
  {
    alert: 'ClusterMeshImportFindings',
    fires: { [`${MESH}import_guard_findings{target_cluster="west", kind="duplicate-ip"}`]: '2+0x20' },
    isQuiet: { [`${MESH}import_guard_findings{target_cluster="west", kind="duplicate-ip"}`]: '2+0x3 0+0x20' },
    at: '12m',
    labels: { ...warning, ...west, kind: 'duplicate-ip' },
    summary: 'remote cluster west claims what is not its own: 2 of duplicate-ip',
  },
  {
    alert: 'ClusterMeshRemovalStuck',
    fires: { [`${MESH}remote_clusters_draining`]: '1+0x70' },
    isQuiet: { [`${MESH}remote_clusters_draining`]: '1+0x40 0+0x30' },
    at: '65m',
    labels: warning,
    summary: 'keys of 1 removed clusters are still in the local etcd',
  },
  {
    alert: 'ClusterMeshPropagationSlow',
    fires: {
      [`${MESH}propagation_delay_seconds_bucket{le="5"}`]: '0+9x40',
      [`${MESH}propagation_delay_seconds_bucket{le="10"}`]: '0+10x40',
      [`${MESH}propagation_delay_seconds_bucket{le="+Inf"}`]: '0+10x40',
    },
    isQuiet: {
      [`${MESH}propagation_delay_seconds_bucket{le="5"}`]: '0+100x40',
      [`${MESH}propagation_delay_seconds_bucket{le="10"}`]: '0+101x40',
      [`${MESH}propagation_delay_seconds_bucket{le="+Inf"}`]: '0+101x40',
    },
    at: '30m',
    labels: warning,
    summary: 'one of a hundred changes of remote clusters takes 9.5s or longer to be written',
  },
  {
    alert: 'ClusterMeshImportPolicyRefused',
    fires: { [`${MESH}health_problems{check="import policy"}`]: '1+0x20' },
    isQuiet: { [`${MESH}health_problems{check="import policy"}`]: '1+0x5 0+0x20' },
    at: '12m',
    labels: { ...warning, check: 'import policy' },
    summary: 'kvstoremesh cannot use its import policy',
  },
  {
    alert: 'ClusterMeshConfigurationUnreadable',
    fires: { [`${MESH}health_problems{check="configuration files"}`]: '1+0x20' },
    isQuiet: {
      [`${MESH}health_problems{check="configuration files"}`]: '0+0x20',
      [`${MESH}health_problems{check="remote clusters"}`]: '1+0x20',
    },
    at: '12m',
    labels: { ...warning, check: 'configuration files' },
    summary: 'kvstoremesh cannot read its configuration files',
  },
];

/** Of the alerts that both daemons have. */
function daemonCases(daemon: string, prefix: string): readonly AlertCase[] {
  const problem = (check: string) => `${prefix}health_problems{pod="mesh-0", check="${check}"}`;
  return [
    {
      alert: 'ClusterMeshDaemonAbsent',
      fires: {},
      isQuiet: { [`${prefix}version{version="1"}`]: '1+0x20' },
      at: '12m',
      labels: { ...critical, daemon },
      summary: `no metrics of ${daemon}`,
    },
    {
      alert: 'ClusterMeshDaemonNotReady',
      fires: { [`${prefix}bootstrap_seconds{pod="mesh-0"}`]: '0+0x20' },
      isQuiet: { [`${prefix}bootstrap_seconds{pod="mesh-0"}`]: '0+0x10 640+0x20' },
      at: '16m',
      labels: { ...critical, daemon, pod: 'mesh-0' },
      summary: `${daemon} in mesh-0 has not become ready`,
    },
    {
      alert: 'ClusterMeshNoLeader',
      fires: {
        [`${prefix}leader_election_master_status{pod="mesh-0"}`]: '1 0+0x20',
        [`${prefix}leader_election_master_status{pod="mesh-1"}`]: '0+0x20',
      },
      isQuiet: {
        [`${prefix}leader_election_master_status{pod="mesh-0"}`]: '1 0+0x20',
        [`${prefix}leader_election_master_status{pod="mesh-1"}`]: '0+0x2 1+0x20',
      },
      at: '6m',
      labels: { ...critical, daemon },
      summary: `no replica of ${daemon} leads`,
    },
    {
      alert: 'ClusterMeshEtcdUnreachable',
      fires: { [problem('local etcd')]: '1+0x20' },
      isQuiet: { [problem('local etcd')]: '1+0x2 0+0x20', [problem('certificates')]: '1+0x20' },
      at: '6m',
      labels: { ...critical, daemon, pod: 'mesh-0', check: 'local etcd' },
      summary: `${daemon} in mesh-0 cannot reach the local etcd`,
    },
    {
      alert: 'ClusterMeshWritesFailing',
      fires: { [problem('writes to the local etcd')]: '1+0x20' },
      isQuiet: { [problem('writes to the local etcd')]: '1+0x2 0+0x20' },
      at: '6m',
      labels: { ...critical, daemon, pod: 'mesh-0', check: 'writes to the local etcd' },
      summary: `writes of ${daemon} in mesh-0 to the local etcd are failing`,
    },
    {
      alert: 'ClusterMeshQueueGrowing',
      fires: { [`${prefix}publisher_pending_keys{pod="mesh-0"}`]: '2000+10x30' },
      // A first listing that is being written, however large.
      isQuiet: { [`${prefix}publisher_pending_keys{pod="mesh-0"}`]: '500000-1000x30' },
      at: '20m',
      labels: { ...warning, daemon, pod: 'mesh-0' },
      summary: `2.05k keys or more of ${daemon} have been waiting for 15 minutes to be written to the local etcd`,
    },
    {
      alert: 'ClusterMeshCertificateExpiresSoon',
      // The time of a test begins with 1970.
      fires: { [`${prefix}certificate_expiry_timestamp_seconds{file="tls.crt"}`]: `${10 * 86_400}+0x100` },
      isQuiet: { [`${prefix}certificate_expiry_timestamp_seconds{file="tls.crt"}`]: `${15 * 86_400}+0x100` },
      at: '80m',
      labels: { ...warning, daemon, file: 'tls.crt' },
      summary: `the certificate tls.crt of ${daemon} expires in 9d 22h 40m 0s`,
    },
    {
      alert: 'ClusterMeshCertificateExpires',
      fires: { [`${prefix}certificate_expiry_timestamp_seconds{file="tls.crt"}`]: `${2 * 86_400}+0x100` },
      isQuiet: { [`${prefix}certificate_expiry_timestamp_seconds{file="tls.crt"}`]: `${4 * 86_400}+0x100` },
      at: '60m',
      labels: { ...critical, daemon, file: 'tls.crt' },
      summary: `the certificate tls.crt of ${daemon} expires in 1d 23h 0m 0s`,
    },
  ];
}

const EXPORTS: readonly AlertCase[] = [
  {
    alert: 'ClusterMeshKubernetesNotInSync',
    fires: {
      ...reflector('services', { watching: '1 0+0x20', missing: '0+0x20', failing: '0 1 0 1 0 1+0x20', listing: '0+0x20' }),
      ...reflector('nodes', { watching: '1+0x20', missing: '0+0x20' }),
    },
    isQuiet: {
      ...reflector('services', { watching: '0+0x8 1+0x20', missing: '0+0x20', failing: '1+0x8 0+0x20' }),
      // A CRD that is not installed.
      ...reflector('serviceexports', { watching: '0+0x20', missing: '1+0x20' }),
    },
    at: '12m',
    labels: { ...critical, resource: 'services' },
    summary: 'services cannot be listed or watched, and changes of them are not exported',
  },
  ...(
    [
      ['export_failures_total', 'scope', 'nodes/v1'],
      ['export_rejected_values_total', 'scope', 'ip/v1'],
      ['publisher_rejected_keys_total', 'scope', 'services/v1'],
      ['kubernetes_malformed_objects_total', 'resource', 'ciliumnodes'],
    ] as const
  ).map(([name, label, value]) => ({
    alert: 'ClusterMeshExportRejected',
    fires: { [`cilium_clustermesh_apiserver_${name}{${label}="${value}"}`]: '0+0x10 1+0x30' },
    isQuiet: { [`cilium_clustermesh_apiserver_${name}{${label}="${value}"}`]: '1+0x40' },
    at: '30m',
    labels: { ...warning, [label]: value },
    summary: `objects of ${value} were not exported, or not completely`,
  })),
  {
    alert: 'ClusterMeshNoEndpointSelected',
    fires: {
      'cilium_clustermesh_apiserver_export_endpoints{decision="exported"}': '0+0x20',
      'cilium_clustermesh_apiserver_export_endpoints{decision="held_back"}': '1204+0x20',
    },
    isQuiet: {
      // A cluster without Pods, and one of which one Pod is exported.
      'cilium_clustermesh_apiserver_export_endpoints{pod="a", decision="exported"}': '0+0x20',
      'cilium_clustermesh_apiserver_export_endpoints{pod="a", decision="held_back"}': '0+0x20',
      'cilium_clustermesh_apiserver_export_endpoints{pod="b", decision="exported"}': '1+0x20',
      'cilium_clustermesh_apiserver_export_endpoints{pod="b", decision="held_back"}': '1204+0x20',
    },
    at: '12m',
    labels: { ...warning, decision: 'exported' },
    summary: 'the selector of endpoints matches none of them',
  },
  {
    alert: 'ClusterMeshUsersOutOfSync',
    fires: { 'cilium_clustermesh_apiserver_health_problems{check="users"}': '2+0x20' },
    isQuiet: { 'cilium_clustermesh_apiserver_health_problems{check="users"}': '2+0x5 0+0x20' },
    at: '12m',
    labels: { ...warning, check: 'users' },
    summary: 'the users of etcd differ from the users file: 2 problems',
  },
];

function reflector(resource: string, states: Readonly<Record<string, string>>): InputSeries {
  const name = 'cilium_clustermesh_apiserver_kubernetes_reflector_state';
  return Object.fromEntries(
    Object.entries(states).map(([state, values]) => [`${name}{resource="${resource}", state="${state}"}`, values]),
  );
}

const quotaCase = (alert: string, severity: object, size: number, less: number): AlertCase => ({
  alert,
  fires: {
    [`etcd_mvcc_db_total_size_in_bytes{${POD}}`]: `${size}+0x20`,
    [`etcd_server_quota_backend_bytes{${POD}}`]: '100+0x20',
  },
  isQuiet: {
    [`etcd_mvcc_db_total_size_in_bytes{${POD}}`]: `${less}+0x20`,
    [`etcd_server_quota_backend_bytes{${POD}}`]: '100+0x20',
    // Another etcd of the cluster.
    'etcd_mvcc_db_total_size_in_bytes{job="kube-etcd"}': '99+0x20',
    'etcd_server_quota_backend_bytes{job="kube-etcd"}': '100+0x20',
  },
  at: '12m',
  labels: { ...severity, ...ofPod },
  summary: `the database of etcd in mesh-0 has ${size}% of its quota`,
});

const ETCD: readonly AlertCase[] = [
  {
    alert: 'ClusterMeshEtcdAbsent',
    fires: { 'etcd_server_has_leader{job="kube-etcd"}': '1+0x20' },
    isQuiet: { [`etcd_server_has_leader{${POD}}`]: '1+0x20' },
    at: '12m',
    labels: { ...critical, job: 'clustermesh-apiserver-metrics' },
    summary: 'no metrics of etcd',
  },
  {
    alert: 'ClusterMeshEtcdNoLeader',
    fires: { [`etcd_server_has_leader{${POD}}`]: '0+0x20' },
    isQuiet: { [`etcd_server_has_leader{${POD}}`]: '1+0x20', 'etcd_server_has_leader{job="kube-etcd"}': '0+0x20' },
    at: '3m',
    labels: { ...critical, ...ofPod },
    summary: 'etcd in mesh-0 has no leader',
  },
  quotaCase('ClusterMeshEtcdNearQuota', warning, 85, 79),
  quotaCase('ClusterMeshEtcdFull', critical, 96, 94),
];

const TARGETS: readonly AlertCase[] = [
  {
    alert: 'ClusterMeshTargetDown',
    fires: { [`up{${POD}, instance="10.0.0.1:9964"}`]: '0+0x20' },
    isQuiet: { [`up{${POD}, instance="10.0.0.1:9964"}`]: '0+0x5 1+0x20', 'up{job="other"}': '0+0x20' },
    at: '12m',
    labels: { ...warning, ...ofPod, instance: '10.0.0.1:9964' },
    summary: 'Prometheus cannot scrape 10.0.0.1:9964 of mesh-0',
  },
  {
    alert: 'ClusterMeshRestarting',
    fires: { [`process_start_time_seconds{${POD}, instance="10.0.0.1:9964"}`]: '1+0x5 2+0x5 3+0x5 4+0x30' },
    isQuiet: { [`process_start_time_seconds{${POD}, instance="10.0.0.1:9964"}`]: '1+0x5 2+0x5 3+0x40' },
    at: '30m',
    labels: { ...warning, ...ofPod, instance: '10.0.0.1:9964' },
    summary: '10.0.0.1:9964 of mesh-0 restarted 3 times in an hour',
  },
];

export const CASES: readonly AlertCase[] = [
  ...REMOTES,
  ...daemonCases('kvstoremesh', MESH),
  ...EXPORTS,
  ...daemonCases('clustermesh', 'cilium_clustermesh_apiserver_'),
  ...ETCD,
  ...TARGETS,
];
