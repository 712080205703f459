/**
 * The daemon in this process, between an embedded Kubernetes API and a real etcd, and short words for what a test
 * does to the three of them.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type EmbeddedKubernetes,
  type EmbeddedOptions,
  startEmbeddedKubernetes,
} from '../../demo/kubernetes/embedded-kubernetes.ts';
import { type EtcdClient, type KeyValue, keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { listAll, openClient, soon } from '../support/etcd/etcd-client.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import type { ClustermeshRunOptions } from '../support/kubernetes/clustermesh-run.ts';
import { ClustermeshRun, EAST } from '../support/kubernetes/clustermesh-run.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import type { Manifest } from './cluster-model.ts';

const COLLECTIONS: Readonly<Record<string, string>> = {
  Namespace: 'api/v1/namespaces',
  Service: 'api/v1/namespaces/NS/services',
  EndpointSlice: 'apis/discovery.k8s.io/v1/namespaces/NS/endpointslices',
  CiliumNode: 'apis/cilium.io/v2/ciliumnodes',
  CiliumIdentity: 'apis/cilium.io/v2/ciliumidentities',
  CiliumEndpoint: 'apis/cilium.io/v2/namespaces/NS/ciliumendpoints',
  CiliumEndpointSlice: 'apis/cilium.io/v2alpha1/ciliumendpointslices',
  ServiceExport: 'apis/multicluster.x-k8s.io/v1beta1/namespaces/NS/serviceexports',
  CustomResourceDefinition: 'apis/apiextensions.k8s.io/v1/customresourcedefinitions',
};

export class DaemonRig implements AsyncDisposable {
  readonly kubernetes: EmbeddedKubernetes;
  readonly etcd: EtcdProcess;
  readonly client: EtcdClient;
  readonly directory = temporaryDirectory('clustermesh');
  readonly etcdConfig = join(this.directory, 'etcd.yaml');
  readonly #daemons: ClustermeshRun[] = [];

  private constructor(kubernetes: EmbeddedKubernetes, etcd: EtcdProcess) {
    this.kubernetes = kubernetes;
    this.etcd = etcd;
    this.client = openClient(etcd.endpoint);
  }

  static async start(options: EmbeddedOptions = {}): Promise<DaemonRig> {
    const rig = new DaemonRig(await startEmbeddedKubernetes(options), await startEtcd());
    rig.writeEtcdConfig();
    return rig;
  }

  writeEtcdConfig(): void {
    writeFileSync(this.etcdConfig, `endpoints: ['${this.etcd.endpoint}']\n`);
  }

  daemon(...argv: string[]): Promise<ClustermeshRun> {
    return this.daemonWith({}, ...argv);
  }

  async daemonWith(options: ClustermeshRunOptions, ...argv: string[]): Promise<ClustermeshRun> {
    const hasServers = argv.some((argument) => /^--k8s-api-server(-urls)?=/.test(argument));
    const flags = [
      ...EAST,
      ...(hasServers ? [] : [`--k8s-api-server-urls=${this.kubernetes.url}`]),
      `--kvstore-opt=etcd.config=${this.etcdConfig}`,
      ...argv,
    ];
    const daemon = await ClustermeshRun.start(flags, options);
    this.#daemons.push(daemon);
    return daemon;
  }

  /** One that has exported everything. */
  async readyDaemon(...argv: string[]): Promise<ClustermeshRun> {
    const daemon = await this.daemon(...argv);
    await until('the daemon to be ready', async () => (await daemon.readiness()) === 'Ready');
    return daemon;
  }

  async create(...manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests)
      await this.#request('POST', collectionOf(manifest.kind, manifest.metadata.namespace), manifest);
  }

  /** Replaces the object as a whole. */
  async replace(manifest: Manifest): Promise<void> {
    const { name, namespace } = manifest.metadata;
    await this.#request('PUT', `${collectionOf(manifest.kind, namespace)}/${name}`, manifest);
  }

  async delete(kind: string, name: string, namespace?: string): Promise<void> {
    await this.#request('DELETE', `${collectionOf(kind, namespace)}/${name}`);
  }

  /** All keys below `prefix`. */
  async keys(prefix = 'cilium/'): Promise<KeyValue[]> {
    return listAll(this.client, prefix);
  }

  async keyNames(prefix?: string): Promise<string[]> {
    return (await this.keys(prefix)).map(({ key }) => key as string);
  }

  /** The value as text; undefined where the key does not exist. */
  async value(key: string): Promise<string | undefined> {
    return (await this.client.get(keyOf(key), soon()))?.value.toString();
  }

  async put(key: string, value: string, lease = NO_LEASE): Promise<void> {
    const put = { type: 'put', key: keyOf(key), value: Buffer.from(value), lease } as const;
    await this.client.txn([put], soon());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop().catch(() => undefined)));
    this.client.close();
    await Promise.all([this.kubernetes.stop(), this.etcd.stop()]);
  }

  async #request(method: string, path: string, body?: unknown): Promise<void> {
    const [head, group, version] = path.split('/');
    const apiVersion = head === 'api' ? 'v1' : `${group}/${version}`;
    const init = body === undefined ? {} : { body: JSON.stringify({ apiVersion, ...(body as object) }) };
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${this.kubernetes.url}/${path}`, { method, headers, ...init });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}

function collectionOf(kind: string, namespace = ''): string {
  const path = COLLECTIONS[kind];
  if (path === undefined) throw new Error(`no kind ${kind}`);
  return path.replace('NS', namespace);
}
