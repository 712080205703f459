/**
 * The checks that are made inside the Pods, by `doctor` and by the daemons themselves: IDs, groups, and the command that shows more
 * or removes the cause. docs/doctor-pods.md has a row for each, and a test compares them.
 *
 * `CLUSTER` in a command stands for the remote cluster of the finding; a finding about the local etcd has another command then.
 */
import type { Finding } from './finding.ts';

const KUBECTL = 'kubectl --namespace kube-system';
const ENTRY = `${KUBECTL} get secret cilium-kvstoremesh --output jsonpath='{.data.CLUSTER}' | base64 --decode`;
const REMOTE_PODS = `in cluster CLUSTER: ${KUBECTL} get pods,services --selector k8s-app=clustermesh-apiserver`;
const POLICIES = `${KUBECTL} get networkpolicies,ciliumnetworkpolicies`;
const REMOTE_CERTS = 'in cluster CLUSTER: clustermesh-apiserver certs check';
const CERTS = 'clustermesh-apiserver certs check';
const CA = `in both clusters: ${KUBECTL} get secret cilium-ca --output jsonpath='{.data.ca\\.crt}' | base64 --decode | openssl x509 -noout -fingerprint -sha256`;
const ETCD_LOG = `${KUBECTL} logs deployment/clustermesh-apiserver --container etcd`;
const RESTART = `${KUBECTL} rollout restart deployment/clustermesh-apiserver`;
const helm = (value: string) => `helm upgrade cilium cilium/cilium --namespace kube-system --reuse-values --set ${value}`;
const LOCAL = 'clustermesh-apiserver clustermesh-dbg troubleshoot';
const MESH_ETCD = 'meshetcd of docs/operate.md';

interface PodCheck {
  readonly group: string;
  readonly command: string;
}

const CHECKS = {
  'config-directory': { group: 'Configuration', command: `${KUBECTL} get secret cilium-kvstoremesh` },
  'config-file': { group: 'Configuration', command: ENTRY },
  'config-name': { group: 'Configuration', command: `${KUBECTL} edit secret cilium-kvstoremesh` },
  dns: { group: 'Reachability', command: ENTRY },
  'tcp-refused': { group: 'Reachability', command: REMOTE_PODS },
  'tcp-silent': { group: 'Reachability', command: POLICIES },
  'tcp-route': { group: 'Reachability', command: ENTRY },
  'tcp-closed': { group: 'Reachability', command: REMOTE_PODS },
  mtu: { group: 'Reachability', command: `${KUBECTL} get configmap cilium-config --output jsonpath='{.data.mtu}'` },
  'load-balancer': { group: 'Reachability', command: REMOTE_PODS },
  'etcd-unavailable': { group: 'Reachability', command: REMOTE_PODS },
  'not-etcd': { group: 'Reachability', command: ENTRY },
  'tls-mismatch': { group: 'TLS', command: ENTRY },
  'tls-handshake': { group: 'TLS', command: REMOTE_PODS },
  'tls-ca': { group: 'TLS', command: CA },
  'tls-name': { group: 'TLS', command: REMOTE_CERTS },
  'tls-expired': { group: 'TLS', command: REMOTE_CERTS },
  'tls-not-yet-valid': { group: 'TLS', command: 'on the nodes of both clusters: timedatectl' },
  'tls-usage': { group: 'TLS', command: REMOTE_CERTS },
  'tls-client': { group: 'TLS', command: CERTS },
  permission: { group: 'Permissions', command: `in cluster CLUSTER: role get remote, with ${MESH_ETCD}` },
  'wrong-cluster': { group: 'Remote clusters', command: ENTRY },
  'own-cluster': { group: 'Remote clusters', command: ENTRY },
  'same-etcd': { group: 'Remote clusters', command: `${KUBECTL} get secret cilium-kvstoremesh --output yaml` },
  'cluster-config': {
    group: 'Remote clusters',
    command: `in cluster CLUSTER: ${KUBECTL} logs deployment/clustermesh-apiserver --container apiserver`,
  },
  'cluster-id': { group: 'Remote clusters', command: `in cluster CLUSTER: ${helm('cluster.id=ID')}` },
  'max-clusters': { group: 'Remote clusters', command: `in all clusters: ${helm('clustermesh.maxConnectedClusters=511')}` },
  capabilities: { group: 'Remote clusters', command: 'in cluster CLUSTER: cilium version' },
  heartbeat: {
    group: 'Remote clusters',
    command: `in cluster CLUSTER: ${KUBECTL} logs deployment/clustermesh-apiserver --container apiserver`,
  },
  'clock-skew': { group: 'Remote clusters', command: 'on the nodes of both clusters: timedatectl' },
  'etcd-alarm': { group: 'etcd', command: `alarm list, with ${MESH_ETCD}` },
  'etcd-quota': { group: 'etcd', command: `endpoint status --write-out table, with ${MESH_ETCD}` },
  'etcd-fragmentation': { group: 'etcd', command: `defrag, with ${MESH_ETCD}` },
  'etcd-leader': { group: 'etcd', command: ETCD_LOG },
  'etcd-learner': { group: 'etcd', command: `member list --write-out table, with ${MESH_ETCD}` },
  'etcd-version': { group: 'etcd', command: `${KUBECTL} get deployment clustermesh-apiserver --output wide` },
  'etcd-watchers': { group: 'etcd', command: `${KUBECTL} get configmap cilium-config --output yaml` },
  'etcd-auth': { group: 'etcd', command: RESTART },
  'etcd-users': { group: 'etcd', command: RESTART },
  'etcd-roles': { group: 'etcd', command: RESTART },
  'certificate-file': { group: 'Certificates', command: CERTS },
  'certificate-key': { group: 'Certificates', command: 'clustermesh-apiserver certs generate' },
  'certificate-expired': { group: 'Certificates', command: 'clustermesh-apiserver certs generate' },
  'certificate-expires': { group: 'Certificates', command: CERTS },
  time: { group: 'Reachability', command: 'clustermesh-apiserver kvstoremesh-dbg doctor CLUSTER' },
} as const satisfies Readonly<Record<string, PodCheck>>;

export type PodCheckId = keyof typeof CHECKS;

/** What is wrong, without the object that it is about. */
export interface Problem {
  readonly check: PodCheckId;
  readonly verdict: 'warning' | 'error' | 'unknown';
  readonly evidence: string;
  /** Without a command; '' where nothing is to be done. */
  readonly remedy: string;
}

/** In the order of their groups. */
export const POD_CHECK_IDS = Object.keys(CHECKS) as readonly PodCheckId[];

export function groupOf(check: PodCheckId): string {
  return CHECKS[check].group;
}

/** The remedy, and behind it the command to run. `cluster`: the remote cluster that it is about. */
export function remedyWithCommand({ check, remedy }: Pick<Problem, 'check' | 'remedy'>, cluster: string | undefined): string {
  const { command }: PodCheck = CHECKS[check];
  const named = cluster === undefined && command.includes('CLUSTER') ? LOCAL : command.replaceAll('CLUSTER', cluster ?? '');
  return remedy === '' ? `run: ${named}` : `${remedy}; run: ${named}`;
}

/** `subject`: the remote cluster, or what else it is about. */
export function findingOf(problem: Problem, subject: string, cluster?: string): Finding {
  const { check, verdict, evidence } = problem;
  return { check, group: groupOf(check), verdict, subject, evidence, remedy: remedyWithCommand(problem, cluster) };
}

export function problem(check: PodCheckId, evidence: string, remedy: string, verdict: Problem['verdict'] = 'error'): Problem {
  return { check, verdict, evidence, remedy };
}
