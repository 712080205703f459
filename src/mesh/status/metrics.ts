/** The series of agents and of kvstoremesh that tell about remote clusters, read through the pod proxy of the API server. */
import { asError } from '../../shared/errors.ts';
import { MIRRORED_KINDS, SCOPES } from '../../shared/etcd/keyspace.ts';
import type { ImportedCount } from '../../shared/imported-text.ts';
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { printable } from '../../shared/printable.ts';
import { recordsOf } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';

/** Bytes of a scrape; an agent with many series has a few MiB. */
const MAX_SCRAPE_BYTES = 16 * 1024 * 1024;
/** Characters shown of the cause of a failed scrape. */
const MAX_CAUSE_LENGTH = 300;

export interface RemoteState {
  readonly isReady: boolean;
  readonly failures: number;
  /** Milliseconds since 1970; 0 for none. */
  readonly lastFailureMs: number;
  /** Maximum age of the mirror in seconds; undefined where the program does not export it. */
  readonly stalenessSeconds: number | undefined;
  /** Why kvstoremesh does not mirror it: it must not be mirrored, or exceeds a limit. */
  readonly refusal: 'rejected' | 'stopped' | undefined;
  /** An operator has frozen or withdrawn the mirror. */
  readonly quarantine: 'freeze' | 'withdraw' | undefined;
  /** The kinds of which an import policy keeps keys out. */
  readonly imported: readonly ImportedCount[];
}

export interface PodState {
  readonly pod: string;
  /** By the name of the remote cluster. */
  readonly remotes: ReadonlyMap<string, RemoteState>;
  /** False for a kvstoremesh that stands by; undefined without leader election. */
  readonly isLeader: boolean | undefined;
  /** Removed clusters whose keys are not removed yet. */
  readonly draining: number;
}

/** Why the state of a Pod is not known. */
export interface UnknownPod {
  readonly pod: string;
  /** `no-port`: metrics are disabled. `failed`: they could not be read. */
  readonly cause: 'no-port' | 'failed';
  readonly text: string;
}

/** What is read: series of this prefix, from the port of this name of this container. */
export interface MetricsSource {
  readonly container: string;
  readonly port: string;
  readonly prefix: string;
}

export const AGENT: MetricsSource = { container: 'cilium-agent', port: 'prometheus', prefix: 'cilium_clustermesh_' };
export const KVSTOREMESH: MetricsSource = {
  container: 'kvstoremesh',
  port: 'kvmesh-metrics',
  prefix: 'cilium_kvstoremesh_',
};

/** Never rejects. */
export async function readPod(cluster: Cluster, pod: JsonRecord, source: MetricsSource): Promise<PodState | UnknownPod> {
  const name = String(recordOf(pod.metadata).name);
  const containers = recordsOf(recordOf(pod.spec).containers);
  const ports = recordsOf(containers.find((each) => each.name === source.container)?.ports);
  const port = ports.find((each) => each.name === source.port)?.containerPort;
  if (port === undefined) return { pod: name, cause: 'no-port', text: `no port ${source.port}` };
  try {
    const path = `${cluster.collection('pods')}/${encodeURIComponent(name)}:${port}/proxy/metrics`;
    return podState(name, await cluster.getText(path, `metrics of Pod ${name}`, MAX_SCRAPE_BYTES), source.prefix);
  } catch (thrown) {
    return { pod: name, cause: 'failed', text: printable(asError(thrown).message, MAX_CAUSE_LENGTH) };
  }
}

const SERIES = /^([a-z_]+)(?:\{([^}]*)\})? (\S+)/;
const MODE = /(?:^|,)mode="(freeze|withdraw)"/;
const KIND = /(?:^|,)kind="([a-z]+)"/;
const SCOPE = /(?:^|,)scope="([a-z]+\/v1)"/;
const SOURCE = /(?:^|,)source_cluster="([^"\\]{1,63})"/;
const TARGET = /(?:^|,)target_cluster="([^"\\]{1,63})"/;

function podState(pod: string, scrape: string, prefix: string): PodState {
  const values = new Map<string, Map<string, number>>();
  let isLeader: boolean | undefined;
  let draining = 0;
  for (const line of scrape.split('\n')) {
    if (!line.startsWith(prefix)) continue;
    const [, name = '', labels = '', value] = SERIES.exec(line) ?? [];
    const series = name.slice(prefix.length);
    if (series === 'leader_election_master_status') isLeader = Number(value) === 1;
    if (series === 'remote_clusters_draining') draining = Number(value);
    const target = (TARGET.exec(labels) ?? SOURCE.exec(labels))?.[1];
    if (target === undefined) continue;
    const counted = countedAs(series, labels);
    if (counted === undefined && !series.startsWith('remote_cluster_')) continue;
    const of = values.get(target) ?? new Map<string, number>();
    const own = counted ?? `${series.slice('remote_cluster_'.length)}${MODE.exec(labels)?.[1] ?? ''}`;
    values.set(target, of.set(own, Number(value)));
  }
  const remotes = [...values]
    .filter(([, of]) => of.has('readiness_status'))
    .map(([name, of]) => [name, remoteState(of)] as const);
  return { pod, remotes: new Map(remotes), isLeader, draining };
}

/** How a series of the import policy and of its keys is told apart by kind. */
function countedAs(series: string, labels: string): string | undefined {
  if (series === 'import_policy_excluded_keys') return `excluded ${KIND.exec(labels)?.[1]}`;
  return series === 'publisher_section_keys' ? `keys ${SCOPE.exec(labels)?.[1]}` : undefined;
}

function importedOf(values: ReadonlyMap<string, number>): readonly ImportedCount[] {
  return MIRRORED_KINDS.flatMap((kind) => {
    const [imported, excluded] = [values.get(`keys ${SCOPES[kind]}`) ?? 0, values.get(`excluded ${kind}`) ?? 0];
    return excluded === 0 ? [] : [{ kind, imported, of: imported + excluded }];
  });
}

function remoteState(values: ReadonlyMap<string, number>): RemoteState {
  return {
    isReady: values.get('readiness_status') === 1,
    failures: values.get('failures') ?? 0,
    lastFailureMs: (values.get('last_failure_ts') ?? 0) * 1_000,
    stalenessSeconds: values.get('staleness_seconds'),
    refusal: (['rejected', 'stopped'] as const).find((what) => values.get(what) === 1),
    quarantine: (['freeze', 'withdraw'] as const).find((mode) => values.get(`quarantined${mode}`) === 1),
    imported: importedOf(values),
  };
}
