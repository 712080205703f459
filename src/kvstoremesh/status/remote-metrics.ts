/**
 * The remote clusters as Prometheus series, under the original's names. Read from the clusters at each
 * scrape, so that a cluster has its series from the moment it is configured, and none once it is not.
 */

import { MIRRORED_KINDS } from '../../shared/etcd/keyspace.ts';
import type { Registry } from '../../shared/http/metrics.ts';
import type { Source } from '../../shared/http/sourced-family.ts';
import { QUARANTINE_MODES } from '../configuration/quarantine.ts';
import { FINDING_KINDS } from '../import-guard/findings.ts';
import { UNCHECKED_REASONS } from '../import-guard/remote-guard.ts';
import { REFUSALS } from '../import-policy/judge.ts';
import { BOUND_NAMES, type RemoteLimits } from '../mirror/bounds.ts';
import type { RemoteCluster } from '../remote/cluster.ts';

/** The rows of a family with series for each remote cluster. */
export function perCluster<Row extends { readonly name: string }>(
  rows: () => Iterable<Row>,
): Pick<Source<Row>, 'labelNames' | 'rows' | 'labels'> {
  return { labelNames: ['target_cluster'], rows, labels: ({ name }) => [name] };
}

function registerGuardMetrics(registry: Registry, clusters: () => readonly RemoteCluster[]): void {
  const guards = perCluster(() => clusters().flatMap(({ name, guard }) => (guard === undefined ? [] : [{ name, guard }])));
  const column = { label: 'kind', values: FINDING_KINDS };
  registry.gaugeFrom('import_guard_findings', 'Current findings of the import guard', {
    ...guards,
    column,
    value: ({ guard }, kind) => guard.findings.count(kind),
  });
  registry.counterFrom('import_guard_findings_total', 'Findings of the import guard', {
    ...guards,
    column,
    value: ({ guard }, kind) => guard.findings.total(kind),
  });
  registry.counterFrom('import_guard_dropped_values_total', 'Values that the import guard dropped', {
    ...guards,
    value: ({ guard }) => guard.dropped,
  });
  registry.counterFrom('import_guard_unchecked_values_total', 'Values that the import guard could not check completely', {
    ...guards,
    column: { label: 'reason', values: UNCHECKED_REASONS },
    value: ({ guard }, reason) => guard.unchecked(reason),
  });
}

function registerPolicyMetrics(registry: Registry, clusters: () => readonly RemoteCluster[]): void {
  const policies = perCluster(() =>
    clusters().flatMap(({ name, policy }) => (policy?.rule === undefined ? [] : [{ name, policy }])),
  );
  registry.gaugeFrom(
    'import_policy_excluded_keys',
    'Keys of the remote cluster that the import policy keeps out, without those of kinds that are not read',
    {
      ...policies,
      column: { label: 'kind', values: MIRRORED_KINDS },
      value: ({ policy }, kind) => policy.tally.refused(kind),
    },
  );
  registry.counterFrom(
    'import_policy_refused_total',
    'Keys and values of the remote cluster that the import policy did not let in',
    { ...policies, column: { label: 'rule', values: REFUSALS }, value: ({ policy }, rule) => policy.tally.total(rule) },
  );
}

export function registerRemoteMetrics(registry: Registry, clusters: () => readonly RemoteCluster[], limits: RemoteLimits): void {
  registry.gauge('remote_clusters', 'Configured remote clusters', [], (gauge) => gauge.set(clusters().length));
  const remotes = perCluster(clusters);
  const gauge = (name: string, help: string, value: (remote: RemoteCluster) => number) =>
    registry.gaugeFrom(name, help, { ...remotes, value });
  gauge('remote_cluster_failures', 'Lost connections to the remote cluster', ({ state }) => state.failures);
  gauge('remote_cluster_last_failure_ts', 'Unix time of the last lost connection in seconds; 0 if none', ({ state }) =>
    Math.floor((state.lastFailureMs ?? 0) / 1000),
  );
  gauge('remote_cluster_readiness_status', 'Whether the remote cluster is connected and completely listed', ({ isReady }) =>
    Number(isReady),
  );
  gauge(
    'remote_cluster_cache_revocations',
    'Withdrawals of the services of the remote cluster because it was unreachable',
    ({ revocations }) => revocations,
  );
  gauge('remote_cluster_keys', 'Keys mirrored from the remote cluster, limited by --remote-max-keys', ({ held }) => held.keys);
  gauge(
    'remote_cluster_bytes',
    'Bytes of the keys and values mirrored from the remote cluster, limited by --remote-max-bytes',
    ({ held }) => held.bytes,
  );
  gauge('remote_cluster_stopped', 'Whether mirroring stopped because the remote cluster exceeds a limit', ({ state }) =>
    Number(state.phase.kind === 'stopped'),
  );
  registry.gaugeFrom(
    'remote_cluster_quarantined',
    'Whether an operator has frozen or withdrawn the mirror of the remote cluster',
    {
      ...remotes,
      column: { label: 'mode', values: QUARANTINE_MODES },
      value: ({ quarantine }, mode) => Number(quarantine.current?.mode === mode),
    },
  );
  gauge(
    'remote_cluster_rejected',
    'Whether the remote cluster is rejected: its ID is invalid or in use, or it is this cluster',
    ({ state }) => Number(state.phase.kind === 'refused'),
  );
  registry.counterFrom('remote_cluster_changes_total', 'Changes received from the remote cluster', {
    ...remotes,
    value: ({ bounds }) => bounds.changes,
  });
  registry.counterFrom(
    'remote_cluster_bound_exceeded_total',
    'Times that the remote cluster or one of its keys exceeded a limit',
    {
      ...remotes,
      column: { label: 'bound', values: BOUND_NAMES },
      value: ({ bounds }, bound) => bounds.exceeded(bound),
    },
  );
  registerGuardMetrics(registry, clusters);
  registerPolicyMetrics(registry, clusters);
  const bounds = registry.gauge('remote_cluster_bounds', 'Limits that apply to every remote cluster; 0 for none', ['bound']);
  for (const bound of BOUND_NAMES) bounds.set({ bound }, limits[bound]);
}
