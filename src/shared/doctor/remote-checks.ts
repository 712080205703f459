/** What was found of a remote → its problems, besides those that `troubleshoot` names. Pure. */
import { type ClusterInfo, clusterIdProblem } from '../cluster-info.ts';
import { type Problem, problem } from '../diagnosis/pod-checks.ts';
import { clusterConfigKey } from '../etcd/keyspace.ts';
import { MAX_CLOCK_SKEW_MS, MAX_HEARTBEAT_AGE_MS } from '../limits.ts';
import type { ClusterDescription, EtcdFindings } from '../troubleshoot/findings.ts';
import type { Backend, RemoteProbe } from './remote-probe.ts';

/** The limit of a cluster that names none. */
const DEFAULT_MAX_CLUSTERS = 255;

/** The local cluster; what is not known is not compared. */
export type OwnCluster = Partial<ClusterInfo>;

export interface RemoteFindings extends EtcdFindings {
  readonly cluster: string;
  /** Undefined where the etcd did not respond. */
  readonly probe: RemoteProbe | undefined;
}

/** `nowMs` is the wall clock. */
export function remoteProblems(remote: RemoteFindings, own: OwnCluster, nowMs: number): readonly Problem[] {
  const { client, probe, cluster } = remote;
  const skewMs = aheadMs(remote);
  const isSkewed = skewMs !== undefined && Math.abs(skewMs) > MAX_CLOCK_SKEW_MS;
  const skew = isSkewed ? [skewProblem(skewMs)] : [];
  if (client?.kind !== 'connected') return skew;
  const description = client.cluster?.description;
  return [
    ...(probe === undefined ? [] : [...paddedProblems(probe), ...backendProblems(probe.backends, cluster)]),
    ...skew,
    ...(description === undefined ? [] : configProblems(cluster, description, own)),
    ...(description === undefined ? [] : heartbeatProblems(client.heartbeat, nowMs + (skewMs ?? 0))),
  ];
}

function paddedProblems({ isStalled }: RemoteProbe): readonly Problem[] {
  if (!isStalled) return [];
  const evidence =
    'small requests are answered, and one of 12 KiB with an answer of 12 KiB is not: full-size packets may be lost';
  return [problem('mtu', evidence, 'check the MTU between the clusters, and that ICMP "fragmentation needed" is not dropped')];
}

function backendProblems(backends: readonly Backend[], cluster: string): readonly Problem[] {
  const ids = [...new Set(backends.map(({ clusterId }) => clusterId))].sort();
  if (ids.length < 2) return [];
  const others = [...new Set(backends.filter(({ hasConfig }) => hasConfig !== true).map(({ clusterId }) => clusterId))];
  const found = `${backends.length} connections led to ${ids.length} different etcds (cluster IDs ${ids.join(', ')})`;
  if (others.length > 0) {
    const evidence = `${found}; without ${clusterConfigKey(cluster)}: ${others.join(', ')}`;
    return [problem('load-balancer', evidence, `give the load balancer of ${cluster} backends of that cluster only`)];
  }
  const remedy = `set session affinity for the Service clustermesh-apiserver of ${cluster}, or run one replica`;
  return [problem('load-balancer', found, remedy, 'warning')];
}

/** How far the clock of the remote is ahead of this one; undefined where it is not known. */
function aheadMs({ endpoints }: EtcdFindings): number | undefined {
  const [first] = endpoints.flatMap(({ tls, plain }) => {
    const answer = tls === undefined || tls.failed ? plain : tls.answer;
    return answer?.kind === 'version' && answer.aheadMs !== undefined ? [answer.aheadMs] : [];
  });
  return first;
}

function skewProblem(skewMs: number): Problem {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const evidence = `the clock of the remote is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the clock of this machine`;
  return problem('clock-skew', evidence, 'synchronize the clocks of the nodes with NTP: certificates depend on them', 'warning');
}

function configProblems(cluster: string, { id, maxConnectedClusters, syncedCanaries }: ClusterDescription, own: OwnCluster) {
  const problems: Problem[] = [];
  const ownMax = own.maxConnectedClusters ?? DEFAULT_MAX_CLUSTERS;
  const theirMax = maxConnectedClusters || DEFAULT_MAX_CLUSTERS;
  const isOtherMax = own.maxConnectedClusters !== undefined && ownMax !== theirMax;
  if (isOtherMax) {
    const evidence = `max-connected-clusters is ${theirMax} in ${cluster} and ${ownMax} in this cluster`;
    problems.push(
      problem('max-clusters', evidence, 'set the same value, 255 or 511, in all clusters before they have identities'),
    );
  }
  const invalid = id === 0 || isOtherMax ? undefined : clusterIdProblem(id, ownMax);
  if (invalid !== undefined) problems.push(problem('cluster-id', invalid, `set a unique ID for ${cluster}`));
  if (id !== 0 && id === own.id) {
    const evidence = `cluster ID ${id} is also that of the local cluster${own.name === undefined ? '' : ` ${own.name}`}`;
    problems.push(problem('cluster-id', evidence, 'change the ID of one of them'));
  }
  if (!syncedCanaries) {
    const evidence = `${clusterConfigKey(cluster)} lacks the capability syncedCanaries: when its keys are complete is not known`;
    problems.push(problem('capabilities', evidence, 'upgrade Cilium of that cluster', 'warning'));
  }
  return problems;
}

/** `nowMs`: the clock of the remote. */
function heartbeatProblems(heartbeat: string | undefined, nowMs: number): readonly Problem[] {
  const remedy = 'check that its clustermesh-apiserver is running, and can write to its etcd';
  if (heartbeat === undefined)
    return [problem('heartbeat', 'there is no heartbeat: the clustermesh daemon of the remote does not run', remedy)];
  const writtenMs = Date.parse(heartbeat);
  if (Number.isNaN(writtenMs))
    return [problem('heartbeat', 'the value of the heartbeat is no time', 'check which program wrote it', 'unknown')];
  const ageMs = nowMs - writtenMs;
  if (ageMs <= MAX_HEARTBEAT_AGE_MS) return [];
  const evidence = `the heartbeat was last written ${Math.round(ageMs / 1000)} s ago, it is due every 60 s: the clustermesh daemon of the remote does not run`;
  return [problem('heartbeat', evidence, remedy)];
}
