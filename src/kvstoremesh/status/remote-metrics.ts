/**
 * The remote clusters as Prometheus series, under the original's names. Read from the clusters at each
 * scrape, so that a cluster has its series from the moment it is configured, and none once it is not.
 */

import { MIRRORED_KINDS } from '../../shared/etcd/keyspace.ts';
import type { Registry } from '../../shared/http/metrics.ts';
import { QUARANTINE_MODES } from '../configuration/quarantine.ts';
import { FINDING_KINDS } from '../import-guard/findings.ts';
import { UNCHECKED_REASONS } from '../import-guard/remote-guard.ts';
import { REFUSALS } from '../import-policy/judge.ts';
import { BOUND_NAMES, type RemoteLimits } from '../mirror/bounds.ts';
import type { RemoteCluster } from '../remote/cluster.ts';

function registerGuardMetrics(registry: Registry, clusters: () => readonly RemoteCluster[]): void {
  const guards = () => clusters().flatMap(({ name, guard }) => (guard === undefined ? [] : [{ name, guard }]));
  registry.gauge('import_guard_findings', 'Current findings of the import guard', ['target_cluster', 'kind'], (gauge) => {
    gauge.reset();
    for (const { name, guard } of guards())
      for (const kind of FINDING_KINDS) gauge.set({ target_cluster: name, kind }, guard.findings.count(kind));
  });
  registry.counter('import_guard_findings_total', 'Findings of the import guard', ['target_cluster', 'kind'], (counter) => {
    counter.reset();
    for (const { name, guard } of guards())
      for (const kind of FINDING_KINDS) counter.inc({ target_cluster: name, kind }, guard.findings.total(kind));
  });
  registry.counter('import_guard_dropped_values_total', 'Values that the import guard dropped', ['target_cluster'], (counter) => {
    counter.reset();
    for (const { name, guard } of guards()) counter.inc({ target_cluster: name }, guard.dropped);
  });
  registry.counter(
    'import_guard_unchecked_values_total',
    'Values that the import guard could not check completely',
    ['target_cluster', 'reason'],
    (counter) => {
      counter.reset();
      for (const { name, guard } of guards())
        for (const reason of UNCHECKED_REASONS) counter.inc({ target_cluster: name, reason }, guard.unchecked(reason));
    },
  );
}

function registerPolicyMetrics(registry: Registry, clusters: () => readonly RemoteCluster[]): void {
  const policies = () => clusters().flatMap(({ name, policy }) => (policy?.rule === undefined ? [] : [{ name, policy }]));
  registry.gauge(
    'import_policy_excluded_keys',
    'Keys of the remote cluster that the import policy keeps out, without those of kinds that are not read',
    ['target_cluster', 'kind'],
    (gauge) => {
      gauge.reset();
      for (const { name, policy } of policies())
        for (const kind of MIRRORED_KINDS) gauge.set({ target_cluster: name, kind }, policy.tally.refused(kind));
    },
  );
  registry.counter(
    'import_policy_refused_total',
    'Keys and values of the remote cluster that the import policy did not let in',
    ['target_cluster', 'rule'],
    (counter) => {
      counter.reset();
      for (const { name, policy } of policies())
        for (const rule of REFUSALS) counter.inc({ target_cluster: name, rule }, policy.tally.total(rule));
    },
  );
}

export function registerRemoteMetrics(registry: Registry, clusters: () => readonly RemoteCluster[], limits: RemoteLimits): void {
  registry.gauge('remote_clusters', 'Configured remote clusters', [], (gauge) => gauge.set(clusters().length));
  const perCluster = (name: string, help: string, value: (remote: RemoteCluster) => number) =>
    registry.gauge(name, help, ['target_cluster'], (gauge) => {
      gauge.reset();
      for (const remote of clusters()) gauge.set({ target_cluster: remote.name }, value(remote));
    });
  perCluster('remote_cluster_failures', 'Lost connections to the remote cluster', ({ state }) => state.failures);
  perCluster('remote_cluster_last_failure_ts', 'Unix time of the last lost connection in seconds; 0 if none', ({ state }) =>
    Math.floor((state.lastFailureMs ?? 0) / 1000),
  );
  perCluster('remote_cluster_readiness_status', 'Whether the remote cluster is connected and completely listed', ({ isReady }) =>
    Number(isReady),
  );
  perCluster(
    'remote_cluster_cache_revocations',
    'Withdrawals of the services of the remote cluster because it was unreachable',
    ({ revocations }) => revocations,
  );
  perCluster(
    'remote_cluster_keys',
    'Keys mirrored from the remote cluster, limited by --remote-max-keys',
    ({ held }) => held.keys,
  );
  perCluster(
    'remote_cluster_bytes',
    'Bytes of the keys and values mirrored from the remote cluster, limited by --remote-max-bytes',
    ({ held }) => held.bytes,
  );
  perCluster('remote_cluster_stopped', 'Whether mirroring stopped because the remote cluster exceeds a limit', ({ state }) =>
    Number(state.phase.kind === 'stopped'),
  );
  registry.gauge(
    'remote_cluster_quarantined',
    'Whether an operator has frozen or withdrawn the mirror of the remote cluster',
    ['target_cluster', 'mode'],
    (gauge) => {
      gauge.reset();
      for (const { name, quarantine } of clusters())
        for (const mode of QUARANTINE_MODES) gauge.set({ target_cluster: name, mode }, Number(quarantine.current?.mode === mode));
    },
  );
  perCluster(
    'remote_cluster_rejected',
    'Whether the remote cluster is rejected: its ID is invalid or in use, or it is this cluster',
    ({ state }) => Number(state.phase.kind === 'refused'),
  );
  registry.counter('remote_cluster_changes_total', 'Changes received from the remote cluster', ['target_cluster'], (counter) => {
    counter.reset();
    for (const { name, bounds } of clusters()) counter.inc({ target_cluster: name }, bounds.changes);
  });
  registry.counter(
    'remote_cluster_bound_exceeded_total',
    'Times that the remote cluster or one of its keys exceeded a limit',
    ['target_cluster', 'bound'],
    (counter) => {
      counter.reset();
      for (const { name, bounds } of clusters())
        for (const bound of BOUND_NAMES) counter.inc({ target_cluster: name, bound }, bounds.exceeded(bound));
    },
  );
  registerGuardMetrics(registry, clusters);
  registerPolicyMetrics(registry, clusters);
  const bounds = registry.gauge('remote_cluster_bounds', 'Limits that apply to every remote cluster; 0 for none', ['bound']);
  for (const bound of BOUND_NAMES) bounds.set({ bound }, limits[bound]);
}
