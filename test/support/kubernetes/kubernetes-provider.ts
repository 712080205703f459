/**
 * One face for the embedded Kubernetes API and a real kube-apiserver, for tests that run on both.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { startEmbeddedKubernetes } from '../../../demo/kubernetes/embedded-kubernetes.ts';
import { containersChosen } from '../containers/container-engine.ts';
import { kubeApiserverMissing, startKubeApiserver } from './kube-apiserver.ts';
import { startKubeApiserverContainer } from './kubernetes-container.ts';
import { KubernetesRequests } from './kubernetes-requests.ts';

export type ProviderName = 'embedded' | 'real';

/** A Kubernetes object as a test states or finds it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

export interface KubernetesProvider extends AsyncDisposable {
  readonly name: ProviderName;
  readonly kubeconfigFile: string;
  readonly requests: KubernetesRequests;
  /** Deletes all objects of tests; only the defaults of every cluster stay. */
  clean(): Promise<void>;
  /**
   * Applies the objects of a YAML file, in its order: by server-side apply with force, or, where there is none, by
   * replacing them as a whole. The two are the same as long as nobody else writes the objects.
   */
  apply(file: string): Promise<void>;
  /** The same for their status. */
  applyStatus(file: string): Promise<void>;
  applyObject(object: Manifest, subresource?: 'status'): Promise<void>;
  /** Deletes `Kind/name` or `Kind/namespace/name`. A namespace is finalised at once; what is in it stays. */
  delete(reference: string): Promise<void>;
  /** Every object of a kind, sorted by namespace and name. */
  list(kind: string): Promise<readonly Manifest[]>;
  stop(): Promise<void>;
}

interface Resource {
  readonly apiVersion: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/** In the order in which they are cleaned away. */
const RESOURCES: Readonly<Record<string, Resource>> = {
  ServiceExport: { apiVersion: 'multicluster.x-k8s.io/v1beta1', plural: 'serviceexports', isNamespaced: true },
  CiliumEndpointSlice: { apiVersion: 'cilium.io/v2alpha1', plural: 'ciliumendpointslices', isNamespaced: false },
  CiliumEndpoint: { apiVersion: 'cilium.io/v2', plural: 'ciliumendpoints', isNamespaced: true },
  CiliumIdentity: { apiVersion: 'cilium.io/v2', plural: 'ciliumidentities', isNamespaced: false },
  CiliumNode: { apiVersion: 'cilium.io/v2', plural: 'ciliumnodes', isNamespaced: false },
  EndpointSlice: { apiVersion: 'discovery.k8s.io/v1', plural: 'endpointslices', isNamespaced: true },
  Pod: { apiVersion: 'v1', plural: 'pods', isNamespaced: true },
  Service: { apiVersion: 'v1', plural: 'services', isNamespaced: true },
  Namespace: { apiVersion: 'v1', plural: 'namespaces', isNamespaced: false },
};

const SYSTEM_NAMESPACES = ['default', 'kube-node-lease', 'kube-public', 'kube-system'];

/** Why a provider cannot be started here; undefined where it can. */
export function providerMissing(name: ProviderName): string | undefined {
  return name === 'real' && !containersChosen() ? kubeApiserverMissing() : undefined;
}

export async function startKubernetes(name: ProviderName): Promise<KubernetesProvider> {
  if (name === 'embedded') {
    const server = await startEmbeddedKubernetes();
    return new Provider(name, server.kubeconfig, new KubernetesRequests({ url: server.url }), () => server.stop());
  }
  const server = await (containersChosen() ? startKubeApiserverContainer() : startKubeApiserver());
  return new Provider(name, server.kubeconfig, server.requests, () => server.stop());
}

class Provider implements KubernetesProvider {
  readonly name: ProviderName;
  readonly kubeconfigFile: string;
  readonly requests: KubernetesRequests;
  readonly #directory: string;
  readonly #stopServer: () => Promise<void>;

  constructor(name: ProviderName, kubeconfig: string, requests: KubernetesRequests, stopServer: () => Promise<void>) {
    this.name = name;
    this.requests = requests;
    this.#stopServer = stopServer;
    this.#directory = mkdtempSync(join(tmpdir(), 'kubernetes-test-'));
    this.kubeconfigFile = join(this.#directory, 'kubeconfig');
    writeFileSync(this.kubeconfigFile, kubeconfig, { mode: 0o600 });
  }

  async clean(): Promise<void> {
    for (const kind of Object.keys(RESOURCES)) {
      await Promise.all((await this.list(kind)).map((object) => this.#cleanAway(kind, object)));
    }
  }

  async apply(file: string): Promise<void> {
    for (const object of readManifests(file)) await this.applyObject(object);
  }

  async applyStatus(file: string): Promise<void> {
    for (const object of readManifests(file)) await this.applyObject(object, 'status');
  }

  async applyObject(object: Manifest, subresource?: 'status'): Promise<void> {
    const path = objectPath(object.kind, object.apiVersion, object.metadata.namespace, object.metadata.name);
    const target = subresource === undefined ? path : `${path}/${subresource}`;
    if (this.name === 'real') await this.requests.apply(target, object);
    else await this.#createOrReplace(path, target, object);
  }

  async delete(reference: string): Promise<void> {
    const [kind = '', ...rest] = reference.split('/');
    const name = rest.pop() ?? '';
    const path = objectPath(kind, resourceOf(kind).apiVersion, rest[0], name);
    await this.requests.delete(path);
    if (kind === 'Namespace') await this.#finalizeNamespace(path);
  }

  async list(kind: string): Promise<readonly Manifest[]> {
    const { apiVersion, plural } = resourceOf(kind);
    const list = (await this.requests.get(`${rootOf(apiVersion)}/${plural}`)) as { items: Manifest[] } | undefined;
    return list?.items ?? [];
  }

  async stop(): Promise<void> {
    this.requests.close();
    await this.#stopServer();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #cleanAway(kind: string, { metadata }: Manifest): Promise<void> {
    const { name, namespace } = metadata;
    if (namespace === 'default' && name === 'kubernetes') return;
    if (kind === 'Namespace' && SYSTEM_NAMESPACES.includes(name)) await this.#cleanAnnotations(name);
    else await this.delete([kind, ...(namespace === undefined ? [] : [namespace]), name].join('/'));
  }

  async #createOrReplace(path: string, target: string, object: Manifest): Promise<void> {
    const current = (await this.requests.get(path)) as Manifest | undefined;
    if (current === undefined) {
      await this.requests.create(path.slice(0, path.lastIndexOf('/')), object);
      return;
    }
    const { resourceVersion } = current.metadata;
    await this.requests.replace(target, { ...object, metadata: { ...object.metadata, resourceVersion } });
  }

  /** There is no controller that would do it. */
  async #finalizeNamespace(path: string): Promise<void> {
    const namespace = (await this.requests.get(path)) as Manifest | undefined;
    if (namespace === undefined) return;
    const spec = { ...(namespace.spec as object), finalizers: [] };
    await this.requests.replace(`${path}/finalize`, { ...namespace, spec });
  }

  async #cleanAnnotations(namespace: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}`;
    const found = (await this.requests.get(path)) as Manifest;
    if (found.metadata.annotations !== undefined) {
      await this.requests.patch(path, 'merge-patch', { metadata: { annotations: null } });
    }
  }
}

/** The objects of a YAML file, read as kubectl reads them. */
export function readManifests(file: string): readonly Manifest[] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8'), { version: '1.1' });
  return documents.map((document) => document.toJS() as Manifest | null).filter((object) => object !== null);
}

function objectPath(kind: string, apiVersion: string, namespace: string | undefined, name: string): string {
  const { plural, isNamespaced } = resourceOf(kind);
  const scope = isNamespaced ? `/namespaces/${namespace ?? 'default'}` : '';
  return `${rootOf(apiVersion)}${scope}/${plural}/${encodeURIComponent(name)}`;
}

function rootOf(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

function resourceOf(kind: string): Resource {
  const resource = RESOURCES[kind];
  if (resource === undefined) throw new Error(`tests do not know the kind ${kind}`);
  return resource;
}
