/**
 * The checks that are made inside the Pods, by `doctor` and by the daemons themselves: IDs, groups, and the command that shows more
 * or removes the cause. docs/commands/doctor-pods.md has a row for each, and a test compares them.
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
const IMPORT_POLICY = `${KUBECTL} get configmap clustermesh-import-policy --output yaml`;
const MESH_ETCD = 'meshetcd of docs/operate.md';

interface PodCheck {
  readonly group: string;
  /** In general; findings of the doctor have one for their case. */
  readonly remedy: string;
  readonly command: string;
}

const CHECKS = {
  'config-directory': { group: 'Configuration', remedy: 'mount the Secret', command: `${KUBECTL} get secret cilium-kvstoremesh` },
  'config-file': { group: 'Configuration', remedy: 'correct the file', command: ENTRY },
  'config-name': {
    group: 'Configuration',
    remedy: 'rename the file to the name of its cluster',
    command: `${KUBECTL} edit secret cilium-kvstoremesh`,
  },
  'import-policy-file': { group: 'Configuration', remedy: 'correct the file', command: IMPORT_POLICY },
  'import-policy-rule': { group: 'Configuration', remedy: 'correct its match, or its place', command: IMPORT_POLICY },
  'export-selector': {
    group: 'Configuration',
    remedy: 'correct --export-endpoint-selector',
    command: 'clustermesh-apiserver clustermesh-dbg export-plan --selector=SELECTOR',
  },
  dns: { group: 'Reachability', remedy: 'check the spelling and DNS, or set cilium-host-aliases', command: ENTRY },
  'tcp-refused': {
    group: 'Reachability',
    remedy: 'check the port, and that the clustermesh-apiserver of the remote runs',
    command: REMOTE_PODS,
  },
  'tcp-silent': { group: 'Reachability', remedy: 'check firewalls, security groups and NetworkPolicies', command: POLICIES },
  'tcp-route': { group: 'Reachability', remedy: 'check the address and the routing between the networks', command: ENTRY },
  'tcp-closed': { group: 'Reachability', remedy: 'check load balancers and their backends', command: REMOTE_PODS },
  mtu: {
    group: 'Reachability',
    remedy: 'lower the MTU, or let ICMP "fragmentation needed" pass',
    command: `${KUBECTL} get configmap cilium-config --output jsonpath='{.data.mtu}'`,
  },
  'load-balancer': { group: 'Reachability', remedy: 'correct the backends, or set session affinity', command: REMOTE_PODS },
  'etcd-unavailable': { group: 'Reachability', remedy: 'check the etcd of the remote', command: REMOTE_PODS },
  'not-etcd': { group: 'Reachability', remedy: 'check address and port', command: ENTRY },
  'tls-mismatch': { group: 'TLS', remedy: 'correct the scheme or the port', command: ENTRY },
  'tls-handshake': { group: 'TLS', remedy: 'check proxies, load balancers and TLS versions', command: REMOTE_PODS },
  'tls-ca': { group: 'TLS', remedy: 'add the CA to trusted-ca-file', command: CA },
  'tls-name': { group: 'TLS', remedy: 'use one of its names, or add the name', command: REMOTE_CERTS },
  'tls-expired': { group: 'TLS', remedy: 'renew it', command: REMOTE_CERTS },
  'tls-not-yet-valid': { group: 'TLS', remedy: 'synchronize the clocks', command: 'on the nodes of both clusters: timedatectl' },
  'tls-usage': { group: 'TLS', remedy: 'issue it with serverAuth', command: REMOTE_CERTS },
  'tls-client': { group: 'TLS', remedy: 'use a certificate of a CA that the server trusts, with clientAuth', command: CERTS },
  permission: {
    group: 'Permissions',
    remedy: 'grant the permission to its role',
    command: `in cluster CLUSTER: role get remote, with ${MESH_ETCD}`,
  },
  'wrong-cluster': { group: 'Remote clusters', remedy: 'rename the file, or correct the address', command: ENTRY },
  'own-cluster': {
    group: 'Remote clusters',
    remedy: 'correct the address: two clusters may use the same NodePort',
    command: ENTRY,
  },
  'same-etcd': {
    group: 'Remote clusters',
    remedy: 'correct the addresses',
    command: `${KUBECTL} get secret cilium-kvstoremesh --output yaml`,
  },
  'cluster-config': {
    group: 'Remote clusters',
    remedy: 'check the name of the file, and the clustermesh daemon of the remote',
    command: `in cluster CLUSTER: ${KUBECTL} logs deployment/clustermesh-apiserver --container apiserver`,
  },
  'import-policy-empty': {
    group: 'Remote clusters',
    remedy: 'correct namespaces, podCIDRs and nodeCIDRs of the rule',
    command: IMPORT_POLICY,
  },
  'import-policy-addresses': {
    group: 'Remote clusters',
    remedy: 'add the CIDR to the rule if it belongs to the cluster',
    command: IMPORT_POLICY,
  },
  'remote-quota': {
    group: 'Remote clusters',
    remedy: 'check what fills its etcd, or raise the limit',
    command: 'clustermesh-apiserver kvstoremesh-dbg status',
  },
  'cluster-id': { group: 'Remote clusters', remedy: 'set a unique ID', command: `in cluster CLUSTER: ${helm('cluster.id=ID')}` },
  'max-clusters': {
    group: 'Remote clusters',
    remedy: 'set the same value in all clusters',
    command: `in all clusters: ${helm('clustermesh.maxConnectedClusters=511')}`,
  },
  capabilities: {
    group: 'Remote clusters',
    remedy: 'upgrade Cilium of the remote',
    command: 'in cluster CLUSTER: cilium version',
  },
  heartbeat: {
    group: 'Remote clusters',
    remedy: 'start the clustermesh daemon of the remote',
    command: `in cluster CLUSTER: ${KUBECTL} logs deployment/clustermesh-apiserver --container apiserver`,
  },
  'clock-skew': {
    group: 'Remote clusters',
    remedy: 'synchronize the clocks',
    command: 'on the nodes of both clusters: timedatectl',
  },
  'etcd-alarm': {
    group: 'etcd',
    remedy: 'free space and disarm the alarm, or replace the member',
    command: `alarm list, with ${MESH_ETCD}`,
  },
  'etcd-quota': {
    group: 'etcd',
    remedy: 'raise --quota-backend-bytes',
    command: `endpoint status --write-out table, with ${MESH_ETCD}`,
  },
  'etcd-fragmentation': { group: 'etcd', remedy: 'defragment it', command: `defrag, with ${MESH_ETCD}` },
  'etcd-leader': { group: 'etcd', remedy: 'start the other members', command: ETCD_LOG },
  'etcd-learner': {
    group: 'etcd',
    remedy: 'wait until it is promoted',
    command: `member list --write-out table, with ${MESH_ETCD}`,
  },
  'etcd-version': {
    group: 'etcd',
    remedy: 'upgrade etcd',
    command: `${KUBECTL} get deployment clustermesh-apiserver --output wide`,
  },
  'etcd-watchers': {
    group: 'etcd',
    remedy: 'let agents read through kvstoremesh',
    command: `${KUBECTL} get configmap cilium-config --output yaml`,
  },
  'etcd-auth': { group: 'etcd', remedy: 'set the etcd up with etcdinit', command: RESTART },
  'etcd-users': { group: 'etcd', remedy: 'set the etcd up with etcdinit', command: RESTART },
  'etcd-roles': { group: 'etcd', remedy: 'grant the permission', command: RESTART },
  'certificate-file': { group: 'Certificates', remedy: 'mount the file', command: CERTS },
  'certificate-key': { group: 'Certificates', remedy: 'replace both together', command: 'clustermesh-apiserver certs generate' },
  'certificate-expired': { group: 'Certificates', remedy: 'renew it', command: 'clustermesh-apiserver certs generate' },
  'certificate-expires': { group: 'Certificates', remedy: 'renew it', command: CERTS },
  time: { group: 'Reachability', remedy: 'check it alone', command: 'clustermesh-apiserver kvstoremesh-dbg doctor CLUSTER' },
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

/** What a daemon says about `check`: the remedy is the general one. */
export function generalProblem(check: PodCheckId, evidence: string, verdict: Problem['verdict'] = 'error'): Problem {
  return { check, verdict, evidence, remedy: generalRemedy(check) };
}

export function generalRemedy(check: PodCheckId): string {
  return CHECKS[check].remedy;
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
