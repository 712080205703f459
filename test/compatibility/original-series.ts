/** The series of the original that this program has too, as scrapes of the original show them: type, labels and buckets. */

export interface OriginalFamily {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** In the order of the alphabet. */
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
  /** Of kvstoremesh only. */
  readonly meshOnly?: true;
}

const limiter = { type: 'gauge', labels: ['api_call', 'value'] } as const;
const remote = { type: 'gauge', labels: ['target_cluster'], meshOnly: true } as const;

/** By name without the prefix of the daemon. */
export const ORIGINAL_SERIES: Readonly<Record<string, OriginalFamily>> = {
  bootstrap_seconds: { type: 'gauge', labels: [] },
  version: { type: 'gauge', labels: ['arch', 'revision', 'version'] },
  kvstore_operations_duration_seconds: {
    type: 'histogram',
    labels: ['action', 'kind', 'outcome', 'scope'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
  kvstore_events_queue_seconds: {
    type: 'histogram',
    labels: ['action', 'scope'],
    buckets: [0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1],
  },
  kvstore_quorum_errors_total: { type: 'counter', labels: ['error'] },
  kvstore_sync_errors_total: { type: 'counter', labels: ['scope', 'source_cluster'] },
  kvstore_sync_queue_size: { type: 'gauge', labels: ['scope', 'source_cluster'] },
  kvstore_initial_sync_completed: { type: 'gauge', labels: ['action', 'scope', 'source_cluster'] },
  api_limiter_processed_requests_total: { type: 'counter', labels: ['api_call', 'outcome', 'return_code'] },
  api_limiter_processing_duration_seconds: limiter,
  api_limiter_rate_limit: limiter,
  api_limiter_requests_in_flight: limiter,
  api_limiter_wait_duration_seconds: limiter,
  controllers_group_runs_total: { type: 'counter', labels: ['group_name', 'status'] },
  remote_clusters: { type: 'gauge', labels: [], meshOnly: true },
  remote_cluster_failures: remote,
  remote_cluster_last_failure_ts: remote,
  remote_cluster_readiness_status: remote,
  remote_cluster_cache_revocations: remote,
  leader_election_master_status: { type: 'gauge', labels: ['name'], meshOnly: true },
};

/** The families of a scrape, by name without the prefix of the daemon. Labels are those of the first series, undefined where there is none. */
export function familiesOf(scrape: string): Map<string, { type: string; labels: string[] | undefined; buckets: number[] }> {
  const families = new Map<string, { type: string; labels: string[] | undefined; buckets: number[] }>();
  for (const [, name = '', type = '', lines = ''] of scrape.matchAll(/^# TYPE (\S+) (\S+)\n((?:(?!#).*\n?)*)/gm)) {
    const series = lines.split('\n').filter((line) => line !== '');
    const labelled = series.map((line) =>
      [...line.matchAll(/(\w+)="([^"]*)"/g)].map(([, label = '', value = '']) => ({ label, value })),
    );
    const labels = labelled[0]?.map(({ label }) => label).filter((label) => label !== 'le');
    const bounds = labelled.flat().flatMap(({ label, value }) => (label === 'le' && value !== '+Inf' ? [Number(value)] : []));
    families.set(name.replace(/^cilium_(clustermesh_apiserver|kvstoremesh)_/, ''), {
      type,
      labels: labels?.sort(),
      buckets: [...new Set(bounds)].sort((a, b) => a - b),
    });
  }
  return families;
}
