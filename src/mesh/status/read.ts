/**
 * `status`: whether a cluster is ready for the mesh, and to which clusters it is connected.
 *
 * Everything is read through the API server: objects, and metrics of agents and kvstoremesh through its pod proxy. The report has
 * no key and no certificate.
 */
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { type Clock, rfc3339Seconds } from '../../shared/time/clock.ts';
import { type ClusterAccess, certificatesIn, containersOf, readAccess, readWorkload } from '../access.ts';
import { type Destination, destinationOf, recordsOf } from '../addresses.ts';
import { Cluster } from '../cluster.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET } from '../entries.ts';
import type { StatusFlags } from '../flags.ts';
import { MESH_PODS, podsOf } from '../pods.ts';
import { type Connectivity, connectivityOf } from './connectivity.ts';
import { AGENT, KVSTOREMESH, type MetricsSource, readPod } from './metrics.ts';

/** Between two reads with `--wait`. */
const POLL_MS = 2_000;
/** Pods whose metrics are read at the same time. */
const MAX_CONCURRENT_READS = 16;
/** A certificate that expires within this time is reported. */
const EXPIRY_WARNING_MS = 30 * 86_400_000;

const CERTIFICATES = ['server', 'admin', 'remote', 'local'].map((name) => `clustermesh-apiserver-${name}-cert`);

export interface StatusReport {
  readonly ready: boolean;
  /** What is not ready, in a few words each. */
  readonly problems: readonly string[];
  readonly access_information: {
    readonly service_type: string;
    readonly service_ips: readonly string[];
    readonly service_port: number;
    readonly cluster_id: number;
    readonly cluster_name: string;
    readonly max_connected_clusters: number;
    /** Why there are no addresses; '' where there are. */
    readonly problem: string;
  };
  readonly deployment: { readonly kind: string; readonly ready: number; readonly wanted: number };
  readonly connectivity: Connectivity;
  readonly kvstoremesh: { readonly enabled: boolean; readonly status: Connectivity };
  /** Tags of the images of running Pods. */
  readonly versions: { readonly 'cilium-agent': readonly string[]; readonly 'clustermesh-apiserver': readonly string[] };
  readonly certificates: readonly {
    readonly secret: string;
    /** RFC 3339. */
    readonly not_after: string;
    readonly state: 'valid' | 'expires-soon' | 'expired';
  }[];
}

export interface StatusRun {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called before each pause of `--wait`. */
  readonly onWait: (elapsedMs: number, problems: readonly string[]) => void;
}

/** With `--wait` resolves when the cluster is ready, or with the last report after `--wait-duration`. Throws a ProgramError. */
export async function status(flags: StatusFlags, { clock, signal, onWait }: StatusRun): Promise<StatusReport> {
  const { kubeconfig, context, namespace } = flags;
  await using cluster = await Cluster.open({ kubeconfig, context, namespace }, signal);
  const startMs = clock.monotonicMs();
  for (;;) {
    const report = await readStatus(cluster, clock.nowMs());
    const elapsedMs = clock.monotonicMs() - startMs;
    if (report.ready || !flags.wait || elapsedMs >= flags.waitDurationMs) return report;
    onWait(elapsedMs, report.problems);
    await clock.sleep(Math.min(POLL_MS, flags.waitDurationMs - elapsedMs), signal);
  }
}

async function readStatus(cluster: Cluster, nowMs: number): Promise<StatusReport> {
  const [access, workload, agents, meshPods, remotes, mirrored, certificates] = await Promise.all([
    readAccess(cluster),
    readWorkload(cluster),
    podsOf(cluster, 'k8s-app=cilium'),
    podsOf(cluster, MESH_PODS),
    clustersIn(cluster, CLUSTERMESH_SECRET),
    clustersIn(cluster, KVSTOREMESH_SECRET),
    readCertificates(cluster, nowMs),
  ]);
  const enabled = containersOf(workload).some(({ name }) => name === KVSTOREMESH.container);
  const [connectivity, mesh] = await Promise.all([
    readConnectivity(cluster, agents, AGENT, remotes),
    readConnectivity(cluster, enabled ? meshPods : [], KVSTOREMESH, enabled ? mirrored : []),
  ]);
  const parts = {
    access_information: accessInformation(cluster, access),
    deployment: deploymentOf(workload),
    connectivity,
    kvstoremesh: { enabled, status: mesh },
    versions: {
      'cilium-agent': tagsOf(agents, AGENT.container),
      'clustermesh-apiserver': tagsOf(meshPods, KVSTOREMESH.container),
    },
    certificates,
  };
  const problems = problemsOf(parts);
  return { ready: problems.length === 0, problems, ...parts };
}

function problemsOf(report: Omit<StatusReport, 'ready' | 'problems'>): readonly string[] {
  const { access_information: access, deployment, connectivity, kvstoremesh, certificates } = report;
  const expired = certificates.filter(({ state }) => state === 'expired');
  return [
    ...(access.problem === '' ? [] : [access.problem]),
    ...(deployment.wanted > 0 && deployment.ready >= deployment.wanted ? [] : ['clustermesh-apiserver is not ready']),
    ...(connectivity.not_ready === 0 ? [] : [`${connectivity.not_ready} nodes are not ready`]),
    ...(kvstoremesh.status.not_ready === 0 ? [] : [`${kvstoremesh.status.not_ready} KVStoreMesh replicas are not ready`]),
    ...expired.map(({ secret }) => `the certificate of Secret ${secret} has expired`),
  ];
}

function accessInformation(cluster: Cluster, access: ClusterAccess): StatusReport['access_information'] {
  const { name, id, maxConnectedClusters } = cluster.identity;
  const chosen = destinationOf(access);
  const { names, ips, port }: Omit<Destination, 'reason'> = 'problem' in chosen ? { names: [], ips: [], port: 0 } : chosen;
  return {
    service_type: String(recordOf(access.service?.spec).type ?? ''),
    service_ips: [...names, ...ips],
    service_port: port,
    cluster_id: id,
    cluster_name: name,
    max_connected_clusters: maxConnectedClusters,
    problem: 'problem' in chosen ? chosen.problem : '',
  };
}

function deploymentOf(workload: JsonRecord | undefined): StatusReport['deployment'] {
  if (workload === undefined) return { kind: 'Deployment', ready: 0, wanted: 0 };
  return {
    kind: String(workload.kind),
    ready: Number(recordOf(workload.status).readyReplicas ?? 0),
    wanted: Number(recordOf(workload.spec).replicas ?? 1),
  };
}

async function readConnectivity(
  cluster: Cluster,
  pods: readonly JsonRecord[],
  source: MetricsSource,
  configured: readonly string[],
): Promise<Connectivity> {
  const states: Awaited<ReturnType<typeof readPod>>[] = [];
  for (let at = 0; at < pods.length; at += MAX_CONCURRENT_READS) {
    const some = pods.slice(at, at + MAX_CONCURRENT_READS);
    states.push(...(await Promise.all(some.map((pod) => readPod(cluster, pod, source)))));
  }
  return connectivityOf(states, configured);
}

const TAG = /:([\w.-]{1,128})(?:@[\w:]{1,128})?$/;

/** Each once. Without the container of the name, that of the Pod's first one. */
function tagsOf(pods: readonly JsonRecord[], container: string): readonly string[] {
  const images = pods.map(({ spec }) => {
    const containers = recordsOf(recordOf(spec).containers);
    return String((containers.find(({ name }) => name === container) ?? containers[0])?.image ?? '');
  });
  return [...new Set(images.flatMap((image) => TAG.exec(image)?.[1] ?? []))].sort();
}

/** The remote clusters that a Secret lists, as its readers count them: the values with `endpoints:`, without the own cluster. */
async function clustersIn(cluster: Cluster, name: string): Promise<readonly string[]> {
  const stored = await cluster.run(() => cluster.secrets().read(name));
  const entries = Object.entries(stored?.data ?? {}).filter(([, value]) => value.includes('endpoints:'));
  return entries.map(([key]) => key).filter((key) => key !== cluster.name);
}

async function readCertificates(cluster: Cluster, nowMs: number): Promise<StatusReport['certificates']> {
  const all = await Promise.all(
    CERTIFICATES.map(async (secret) => {
      const [leaf] = certificatesIn(await cluster.getNamespaced('secrets', secret), 'tls.crt');
      return leaf === undefined ? [] : [{ secret, notAfterMs: leaf.notAfterMs }];
    }),
  );
  return all
    .flat()
    .sort((a, b) => a.notAfterMs - b.notAfterMs)
    .map(({ secret, notAfterMs }) => ({
      secret,
      not_after: rfc3339Seconds(notAfterMs),
      state: notAfterMs <= nowMs ? 'expired' : notAfterMs <= nowMs + EXPIRY_WARNING_MS ? 'expires-soon' : 'valid',
    }));
}
