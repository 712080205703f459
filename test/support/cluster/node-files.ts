/** What the programs of a node read: credentials and configurations, below one directory. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeServerFiles } from '../kubernetes/kube-apiserver.ts';
import { CertificateDirectory } from '../tls/certificates.ts';
import { HOST_ADDRESS, type NodeAddresses } from './node-network.ts';
import { cniPlugins } from './node-programs.ts';

export const PAUSE_IMAGE = 'localhost/pause:1';
export const ADMIN = 'admin';
/** User and group of each client of the API server. */
const CLIENTS: Readonly<Record<string, (node: string) => readonly [user: string, group: string]>> = {
  [ADMIN]: () => ['admin', 'system:masters'],
  kubelet: (node) => [`system:node:${node}`, 'system:nodes'],
  'kube-controller-manager': () => ['system:kube-controller-manager', ''],
  'kube-scheduler': () => ['system:kube-scheduler', ''],
  'kube-proxy': () => ['system:kube-proxy', ''],
};

export interface NodeFiles {
  readonly directory: string;
  /** Of the runtime: sockets have short paths. */
  readonly runDirectory: string;
  readonly socket: string;
  path(name: string): string;
  token(client: string): string;
}

/** The files that the API server reads. `name` is that of the cluster and of its node. */
export function writeNodeFiles(directory: string, runDirectory: string, name: string): NodeFiles {
  for (const path of ['etcd', 'kubelet', 'logs', 'cni', 'pods', 'opt', 'volumes'])
    mkdirSync(join(directory, path), { recursive: true });
  mkdirSync(runDirectory, { recursive: true });
  writeServerFiles(directory, randomBytes(16).toString('hex'));
  const tokens = new Map(Object.keys(CLIENTS).map((client) => [client, randomBytes(16).toString('hex')]));
  const lines = Object.entries(CLIENTS).map(([client, of]) => {
    const [user, group] = of(name);
    return `${tokens.get(client)},${user},${client},"${group}"\n`;
  });
  writeFileSync(join(directory, 'tokens.csv'), lines.join(''), { mode: 0o600 });
  writeKubeletClient(directory);
  return {
    directory,
    runDirectory,
    socket: join(runDirectory, 'containerd.sock'),
    path: (file) => join(directory, file),
    token: (client) => tokens.get(client) ?? '',
  };
}

/** The certificate that the API server shows to the kubelet. */
function writeKubeletClient(directory: string): void {
  const certificates = new CertificateDirectory();
  try {
    const authority = certificates.authority('kubelet-client-ca');
    const { certFile, keyFile } = authority.issue({ name: 'kube-apiserver' });
    for (const [file, source] of Object.entries({
      'kubelet-ca.crt': authority.caFile,
      'kubelet-client.crt': certFile,
      'kubelet-client.key': keyFile,
    }))
      writeFileSync(join(directory, file), readFileSync(source), { mode: 0o600 });
  } finally {
    certificates.remove();
  }
}

/** A kubeconfig of a client, with the name of the cluster as its context. */
export function kubeconfigOf(files: NodeFiles, name: string, client: string, address: string): object {
  const certificate = readFileSync(files.path('apiserver.crt')).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: `https://${address}:6443`, 'certificate-authority-data': certificate } }],
    users: [{ name, user: { token: files.token(client) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}

/** Once the API server has its certificate. */
export function writeClientFiles(files: NodeFiles, name: string, addresses: NodeAddresses): void {
  for (const client of Object.keys(CLIENTS)) {
    writeFileSync(files.path(`${client}.kubeconfig`), stringify(kubeconfigOf(files, name, client, addresses.node)), {
      mode: 0o600,
    });
  }
  writeFileSync(files.path('kubelet.yaml'), stringify(kubeletConfiguration(files, addresses)));
  writeFileSync(files.path('kube-proxy.yaml'), stringify(proxyConfiguration(files, name, addresses)));
}

export function writeRuntimeFiles(files: NodeFiles, addresses: NodeAddresses): void {
  writeFileSync(files.path('cni/10-bridge.conflist'), JSON.stringify(podNetwork(files, addresses)));
  writeFileSync(files.path('containerd.toml'), containerdConfiguration(files));
}

function kubeletConfiguration(files: NodeFiles, { node }: NodeAddresses): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: false },
      x509: { clientCAFile: files.path('kubelet-ca.crt') },
    },
    authorization: { mode: 'AlwaysAllow' },
    address: node,
    containerRuntimeEndpoint: `unix://${files.socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroupOf(files)}`,
    failCgroupV1: false,
    failSwapOn: false,
    clusterDomain: 'cluster.local',
    clusterDNS: [HOST_ADDRESS],
    resolvConf: '',
    maxOpenFiles: 20_000,
    maxPods: 50,
    podLogsDir: files.path('pods'),
    volumePluginDir: files.path('volumes'),
    // Secrets and ConfigMaps of a mesh change while a test waits.
    syncFrequency: '2s',
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '50Mi', 'nodefs.available': '1%', 'imagefs.available': '1%', 'nodefs.inodesFree': '0%' },
  };
}

/** The name of the cgroup of the containers, in each hierarchy. */
export function cgroupOf({ runDirectory }: NodeFiles): string {
  return runDirectory.split('/').at(-1) ?? '';
}

function proxyConfiguration(files: NodeFiles, name: string, { pods }: NodeAddresses): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'iptables',
    clusterCIDR: pods,
    hostnameOverride: name,
    clientConnection: { kubeconfig: files.path('kube-proxy.kubeconfig') },
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    // 0 is the default, 1 s: with the constant changes of a test each one would wait for so long.
    iptables: { minSyncPeriod: '200ms', syncPeriod: '30s' },
  };
}

function podNetwork(files: NodeFiles, { pods, podGateway }: NodeAddresses): object {
  const ranges = [[{ subnet: pods, gateway: podGateway }]];
  const ipam = { type: 'host-local', dataDir: join(files.runDirectory, 'ipam'), ranges, routes: [{ dst: '0.0.0.0/0' }] };
  const bridge = { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: false, hairpinMode: true, ipam };
  return { cniVersion: '0.4.0', name: 'pods', plugins: [bridge] };
}

/** Without what a machine in a container refuses: a higher priority for the OOM killer, huge pages, AppArmor. */
function containerdConfiguration({ path, runDirectory, socket }: NodeFiles): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const disabled = ['btrfs', 'zfs', 'devmapper', 'aufs'].map((name) => `"io.containerd.snapshotter.v1.${name}"`);
  return [
    'version = 2',
    `root = "${path('containerd')}"`,
    `state = "${join(runDirectory, 'containerd')}"`,
    'oom_score = 0',
    `disabled_plugins = [${disabled.join(', ')}]`,
    `[grpc]\naddress = "${socket}"`,
    `[plugins."io.containerd.internal.v1.opt"]\npath = "${path('opt')}"`,
    `[${cri}]`,
    `sandbox_image = "${PAUSE_IMAGE}"`,
    'restrict_oom_score_adj = true',
    'disable_tcp_service = true',
    'disable_hugetlb_controller = true',
    'tolerate_missing_hugetlb_controller = true',
    'disable_apparmor = true',
    // The network namespaces of Pods go with the directory.
    'netns_mounts_under_state_dir = true',
    `[${cri}.cni]\nbin_dir = "${cniPlugins()}"\nconf_dir = "${path('cni')}"`,
    `[${cri}.containerd]\nsnapshotter = "overlayfs"\ndefault_runtime_name = "runc"`,
    `[${cri}.containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"`,
    `[${cri}.containerd.runtimes.runc.options]\nSystemdCgroup = false`,
    '',
  ].join('\n');
}
