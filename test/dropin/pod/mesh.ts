/** Clusters of one mesh, each with the Pod of Cilium's chart of some release. They share one Kubernetes API, with an account each. */
import { parse } from 'yaml';
import { CertificateIssuer } from '../../support/cilium-chart/certificates.ts';
import { ciliumChartObjects } from '../../support/cilium-chart/chart.ts';
import type { CiliumChartOptions } from '../../support/cilium-chart/options.ts';
import type { ImageEngine } from '../../support/containers/image-engine.ts';
import type { KubeObject } from '../../support/kube-object.ts';
import { type KubeApiserver, startKubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import type { KubernetesRequests } from '../../support/kubernetes/kubernetes-requests.ts';
import { until } from '../../support/until.ts';
import { EXPORTED } from './exported.ts';
import { type Forward, Sockets } from './network.ts';
import { RunningPod } from './pod.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

type Given = Omit<CiliumChartOptions, 'image' | 'issuer' | 'namespace'>;

export interface MeshCluster {
  readonly name: string;
  readonly objects: readonly KubeObject[];
}

export class Mesh implements AsyncDisposable {
  readonly #kubernetes: KubeApiserver;
  readonly #sockets = new Sockets();
  readonly #issuer = new CertificateIssuer();
  /** Whose etcd is reached already. */
  readonly #reached = new Set<string>();
  #pods = 0;

  private constructor(kubernetes: KubeApiserver) {
    this.#kubernetes = kubernetes;
  }

  static async start(): Promise<Mesh> {
    const mesh = new Mesh(await startKubeApiserver());
    for (const { path, object } of EXPORTED) await mesh.#requests.create(path, object);
    return mesh;
  }

  /** Installs the chart in a namespace of its own. The account may do what the chart lets it do, and no more. */
  async install(options: Given): Promise<MeshCluster> {
    const name = options.clusterName;
    const image = 'localhost/clustermesh-apiserver:local';
    const objects = ciliumChartObjects({ ...options, namespace: name, image, issuer: this.#issuer });
    const requests = this.#requests;
    await requests.create('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    for (const object of objects) {
      // One role for each cluster: they are of the whole server.
      const metadata = { ...object.metadata, name: `clustermesh-apiserver-${name}` };
      if (object.kind === 'ServiceAccount') await requests.create(`/api/v1/namespaces/${name}/serviceaccounts`, object);
      if (object.kind === 'ClusterRole') await requests.create(`${RBAC}/clusterroles`, { ...object, metadata });
      if (object.kind === 'ClusterRoleBinding')
        await requests.create(`${RBAC}/clusterrolebindings`, {
          ...object,
          metadata,
          roleRef: { ...object.roleRef, name: metadata.name },
        });
    }
    return { name, objects };
  }

  /** Starts a Pod of the cluster. The first one is what its peers reach. */
  async startPod(engine: ImageEngine, { name, objects }: MeshCluster, reaches: readonly Forward[] = []): Promise<RunningPod> {
    this.#pods += 1;
    const hasApiserver = objects.some(({ kind }) => kind === 'ClusterRole');
    const port = Number(new URL(this.#kubernetes.url).port);
    const socket = hasApiserver ? await this.#sockets.toPort(`kubernetes-${this.#pods}`, port) : '';
    const isFirst = hasApiserver && !this.#reached.has(name);
    this.#reached.add(name);
    return RunningPod.start({
      engine,
      objects,
      ip: `10.244.0.${this.#pods}`,
      uid: `00000000-0000-4000-8000-00000000000${this.#pods}`,
      reaches,
      ...(hasApiserver ? { kubernetes: { token: await this.#token(name), ca: this.#authority, socket } } : {}),
      ...(isFirst ? { etcdSocket: this.#etcdSocket(name) } : {}),
    });
  }

  /** How a Pod reaches the etcd of `cluster` at an address. */
  reaching(cluster: string, host: string, port: number): Forward {
    return { host, port, socket: this.#etcdSocket(cluster) };
  }

  /** How a Pod reaches an etcd on a port of this machine. */
  async reachingPort(port: number, host: string): Promise<Forward> {
    return { host, port: 2379, socket: await this.#sockets.toPort(`etcd-${port}`, port) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#issuer[Symbol.dispose]();
    await this.#sockets[Symbol.asyncDispose]();
    await this.#kubernetes.stop();
  }

  get #requests(): KubernetesRequests {
    return this.#kubernetes.requests;
  }

  get #authority(): string {
    const { clusters } = parse(this.#kubernetes.kubeconfig) as { clusters: { cluster: Record<string, string> }[] };
    return Buffer.from(clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64').toString();
  }

  #etcdSocket(cluster: string): string {
    return this.#sockets.path(`etcd-of-${cluster}`);
  }

  async #token(namespace: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/clustermesh-apiserver/token`;
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } };
    const answer = await until('there is a token', () => this.#requests.create(path, request));
    return (answer as { status: { token: string } }).status.token;
  }
}
