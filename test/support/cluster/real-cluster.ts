/**
 * A Kubernetes cluster of one node: etcd, kube-apiserver, controller manager, scheduler, kube-proxy, kubelet and containerd, in a
 * network namespace of its own. Pods run in containers; they reach Pods and nodes of the other clusters of the machine.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { etcdVersions } from '../etcd/etcd-process.ts';
import { type Kubectl, kubectl } from '../kubernetes/kubectl.ts';
import { KubernetesRequests } from '../kubernetes/kubernetes-requests.ts';
import { until } from '../until.ts';
import { endContainers, makeCgroups, removeCgroups } from './node-containers.ts';
import {
  ADMIN,
  cgroupOf,
  kubeconfigOf,
  type NodeFiles,
  writeClientFiles,
  writeNodeFiles,
  writeRuntimeFiles,
} from './node-files.ts';
import { addNode, addressesOf, namespaceOf, removeNode } from './node-network.ts';
import { NodeProcesses } from './node-processes.ts';
import { nodeEnvironment, nodeProgram } from './node-programs.ts';

const START = { withinMs: 120_000 };

export class RealCluster implements AsyncDisposable {
  readonly name: string;
  readonly number: number;
  readonly nodeAddress: string;
  readonly requests: KubernetesRequests;
  readonly kubectl: Kubectl;
  readonly #files: NodeFiles;
  readonly #processes: NodeProcesses;

  private constructor(name: string, number: number, files: NodeFiles, processes: NodeProcesses) {
    this.name = name;
    this.number = number;
    this.nodeAddress = addressesOf(number).node;
    this.#files = files;
    this.#processes = processes;
    const url = `https://${this.nodeAddress}:6443`;
    this.requests = new KubernetesRequests({
      url,
      token: files.token(ADMIN),
      ca: () => readFileSync(files.path('apiserver.crt')),
    });
    this.kubectl = kubectl(files.path(`${ADMIN}.kubeconfig`));
  }

  /** Starts cluster `number` (1 to 9) and waits until its node is ready. What a killed run left of it goes first. */
  static async start(name: string, number: number): Promise<RealCluster> {
    await removeLeftovers(number);
    const directory = mkdtempSync(join(tmpdir(), `${namespaceOf(number)}-`));
    const files = writeNodeFiles(directory, runDirectoryOf(number), name);
    addNode(number);
    makeCgroups(cgroupOf(files));
    const processes = new NodeProcesses(number, files.path('logs'), nodeEnvironment(files.path('bin')));
    const cluster = new RealCluster(name, number, files, processes);
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      const logs = processes.lastLines();
      await cluster[Symbol.asyncDispose]();
      throw new Error(`cluster ${name} did not start: ${String(error)}\n${logs}`);
    }
  }

  /** A kubeconfig of its administrator, with the name of the cluster as its context. */
  kubeconfig(): object {
    return kubeconfigOf(this.#files, this.name, ADMIN, this.nodeAddress);
  }

  /** Imports the images of an OCI archive, or of one of Docker. */
  async importImages(archive: string): Promise<void> {
    await this.#processes.run('ctr', '-a', this.#files.socket, '-n', 'k8s.io', 'images', 'import', '--no-unpack', archive);
  }

  async tagImage(name: string, alias: string): Promise<void> {
    await this.#processes.run('ctr', '-a', this.#files.socket, '-n', 'k8s.io', 'images', 'tag', '--force', name, alias);
  }

  async #start(): Promise<void> {
    const addresses = addressesOf(this.number);
    const { path } = this.#files;
    this.#processes.start('etcd', etcdVersions().at(-1)?.path ?? '', [
      `--data-dir=${path('etcd')}`,
      '--unsafe-no-fsync',
      '--listen-client-urls=http://127.0.0.1:2379',
      '--advertise-client-urls=http://127.0.0.1:2379',
      '--log-level=warn',
    ]);
    this.#processes.start('kube-apiserver', nodeProgram('kube-apiserver'), [
      '--etcd-servers=http://127.0.0.1:2379',
      '--bind-address=0.0.0.0',
      '--secure-port=6443',
      `--advertise-address=${addresses.node}`,
      `--cert-dir=${this.#files.directory}`,
      `--service-cluster-ip-range=${addresses.services}`,
      `--token-auth-file=${path('tokens.csv')}`,
      `--kubelet-client-certificate=${path('kubelet-client.crt')}`,
      `--kubelet-client-key=${path('kubelet-client.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${path('service-accounts.pub')}`,
      `--service-account-signing-key-file=${path('service-accounts.key')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--endpoint-reconciler-type=lease',
    ]);
    writeRuntimeFiles(this.#files, addresses);
    this.#processes.start('containerd', nodeProgram('containerd'), ['--config', path('containerd.toml')]);
    await until('containerd serves', () => this.#processes.run('ctr', '-a', this.#files.socket, 'version'), START);
    await until('the API server has its key', () => existsSync(path('apiserver.key')), START);
    await until('the API server is ready', async () => (await this.requests.send('GET', '/readyz')).code === 200, START);
    writeClientFiles(this.#files, this.name, addresses);
    this.#startNode();
    await until('the node is ready', () => this.#isNodeReady(), START);
    await until(
      'there is a service account',
      () => this.requests.get('/api/v1/namespaces/default/serviceaccounts/default'),
      START,
    );
  }

  #startNode(): void {
    const { path } = this.#files;
    const kubeconfig = (name: string) => `--kubeconfig=${path(`${name}.kubeconfig`)}`;
    this.#processes.start('kube-controller-manager', nodeProgram('kube-controller-manager'), [
      kubeconfig('kube-controller-manager'),
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--cert-dir=${path('controllers')}`,
      `--service-account-private-key-file=${path('service-accounts.key')}`,
      `--root-ca-file=${path('apiserver.crt')}`,
      '--use-service-account-credentials=true',
    ]);
    this.#processes.start('kube-scheduler', nodeProgram('kube-scheduler'), [
      kubeconfig('kube-scheduler'),
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--cert-dir=${path('scheduler')}`,
    ]);
    this.#processes.start('kube-proxy', nodeProgram('kube-proxy'), [`--config=${path('kube-proxy.yaml')}`]);
    this.#processes.start('kubelet', nodeProgram('kubelet'), [
      `--config=${path('kubelet.yaml')}`,
      kubeconfig('kubelet'),
      `--root-dir=${path('kubelet')}`,
      `--cert-dir=${path('kubelet-certificates')}`,
      `--hostname-override=${this.name}`,
      `--node-ip=${this.nodeAddress}`,
    ]);
  }

  async #isNodeReady(): Promise<boolean> {
    await this.#bindProxy();
    interface Node {
      readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
    }
    const node = (await this.requests.get(`/api/v1/nodes/${this.name}`)) as Node | undefined;
    return node?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  }

  /** As kubeadm does. */
  async #bindProxy(): Promise<void> {
    const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
    if ((await this.requests.get(`${path}/kube-proxy`)) !== undefined) return;
    await this.requests.create(path, {
      metadata: { name: 'kube-proxy' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:node-proxier' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'system:kube-proxy' }],
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kubectl[Symbol.dispose]();
    await removeLeftovers(this.number);
    rmSync(this.#files.directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

function runDirectoryOf(number: number): string {
  return `/run/${namespaceOf(number)}`;
}

async function removeLeftovers(number: number): Promise<void> {
  await endContainers(number, namespaceOf(number), [`${runDirectoryOf(number)}/`, join(tmpdir(), `${namespaceOf(number)}-`)]);
  removeNode(number);
  removeCgroups(namespaceOf(number));
  rmSync(runDirectoryOf(number), { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
