/**
 * The services of one cluster and their pods: the actions of the user, the controllers and the Cilium agents of a
 * real cluster, over the Kubernetes API.
 *
 * A change is planned first and then carried out. Planning updates `services`, so that
 * observers of the etcds know what to expect before the first request is sent. With a change of
 * pods the request for the endpoint slice comes last, because it publishes the backends.
 */
import { KubeStatusError } from '../../../src/shared/kubernetes/errors.ts';
import { NamespaceTakenError } from '../errors.ts';
import type { KubernetesClient, Manifest } from './kubernetes-client.ts';
import {
  endpointManifest,
  identityManifest,
  MARK_LABEL,
  NAMESPACE,
  namespaceManifest,
  nodeManifest,
  type Pod,
  podManifest,
  type Scope,
  type ServiceSpec,
  type Site,
  serviceManifest,
  sliceEndpoints,
  sliceManifest,
} from './manifests.ts';

export interface DeployedService {
  readonly spec: ServiceSpec;
  readonly pods: readonly Pod[];
  /** The number of its pods' security identity. */
  readonly identity: number;
  readonly mark: string | undefined;
}

/** Planned, not yet carried out. */
export type Change = () => Promise<void>;

export interface WorkloadOptions {
  readonly kubernetes: KubernetesClient;
  readonly site: Site;
  readonly scope: Scope;
  /** The first three parts of every pod's address. */
  readonly podNetwork: string;
  /** Identities are numbered from here. */
  readonly firstIdentity: number;
}

export class Workload {
  readonly scope: Scope;
  readonly site: Site;
  readonly #options: WorkloadOptions;
  readonly #services = new Map<string, DeployedService>();
  /** Last parts of pod addresses in use so far; none is given twice. */
  #lastAddress = 10;
  #lastIdentity = 0;
  #hasNamespace = false;

  constructor(options: WorkloadOptions) {
    this.scope = options.scope;
    this.site = options.site;
    this.#options = options;
  }

  get services(): ReadonlyMap<string, DeployedService> {
    return this.#services;
  }

  /** The namespace, and the node that the pods are on. Throws NamespaceTakenError where the namespace exists. */
  async prepare(): Promise<void> {
    const { kubernetes } = this.#options;
    await kubernetes.create(namespaceManifest()).catch((thrown: unknown) => {
      if (!(thrown instanceof KubeStatusError && thrown.status === 409)) throw thrown;
      throw new NamespaceTakenError(
        `the namespace ${NAMESPACE} exists already in ${kubernetes.server}; delete it, or wait until the other demo has ended`,
      );
    });
    this.#hasNamespace = true;
    if (this.scope === 'everything') await kubernetes.create(nodeManifest(this.site));
  }

  deploy(spec: ServiceSpec, podCount: number): Change {
    this.#lastIdentity += 1;
    const identity = this.#options.firstIdentity + this.#lastIdentity;
    const pods = this.#newPods(spec.name, 1, podCount);
    this.#services.set(spec.name, { spec, pods, identity, mark: undefined });
    const { kubernetes } = this.#options;
    return async () => {
      if (this.scope === 'everything') await kubernetes.create(identityManifest(spec.name, identity, this.site));
      await kubernetes.create(serviceManifest(spec, this.scope));
      await this.#createPods(spec.name, pods, identity);
      await kubernetes.create(sliceManifest(spec.name, pods, this.site, this.scope));
    };
  }

  /** Adds pods. */
  scaleUp(name: string, podCount: number): Change {
    const service = this.#service(name);
    const added = this.#newPods(name, service.pods.length + 1, podCount);
    this.#services.set(name, { ...service, pods: [...service.pods, ...added] });
    return async () => {
      await this.#createPods(name, added, service.identity);
      await this.#updateSlice(name);
    };
  }

  /** Removes the pod that was added last. */
  deletePod(name: string): Change {
    return this.#withoutPod(name, this.#service(name).pods.at(-1)?.name ?? '');
  }

  /** The reaction to a pod that was deleted externally; undefined if it does not belong to the demo. */
  lostPod(podName: string): Change | undefined {
    for (const [name, { pods }] of this.#services) {
      if (pods.some((pod) => pod.name === podName)) return this.#withoutPod(name, podName);
    }
    return undefined;
  }

  /** Changes a label of the service, which is exported with it. */
  mark(name: string, mark: string): Change {
    const service = this.#service(name);
    this.#services.set(name, { ...service, mark });
    return () =>
      this.#options.kubernetes.merge(serviceManifest(service.spec, this.scope), { metadata: { labels: { [MARK_LABEL]: mark } } });
  }

  remove(name: string): Change {
    const service = this.#service(name);
    this.#services.delete(name);
    return async () => {
      for (const manifest of this.#manifestsOf(service).toReversed()) await this.#options.kubernetes.delete(manifest);
    };
  }

  /** Deletes all created objects, including the namespace. */
  async cleanUp(): Promise<void> {
    const { kubernetes } = this.#options;
    for (const service of this.#services.values()) {
      for (const manifest of this.#manifestsOf(service).toReversed()) await kubernetes.delete(manifest);
    }
    this.#services.clear();
    if (!this.#hasNamespace) return;
    await kubernetes.delete(namespaceManifest());
    this.#hasNamespace = false;
  }

  #service(name: string): DeployedService {
    const service = this.#services.get(name);
    if (service === undefined) throw new TypeError(`${name} is not deployed in ${this.site.cluster}`);
    return service;
  }

  #withoutPod(name: string, podName: string): Change {
    const service = this.#service(name);
    const gone = service.pods.filter((pod) => pod.name === podName);
    this.#services.set(name, { ...service, pods: service.pods.filter((pod) => pod.name !== podName) });
    return async () => {
      for (const manifest of this.#podManifests(name, gone, service.identity)) await this.#options.kubernetes.delete(manifest);
      await this.#updateSlice(name);
    };
  }

  #newPods(service: string, firstNumber: number, count: number): Pod[] {
    return Array.from({ length: count }, (_, index) => {
      this.#lastAddress += 1;
      return { name: `${service}-${firstNumber + index}`, ip: `${this.#options.podNetwork}.${this.#lastAddress}` };
    });
  }

  async #createPods(service: string, pods: readonly Pod[], identity: number): Promise<void> {
    const { kubernetes } = this.#options;
    for (const manifest of this.#podManifests(service, pods, identity)) {
      await kubernetes.create(manifest);
      // A real API server drops the status of a new object.
      if (manifest.kind === 'Pod') await kubernetes.mergeStatus(manifest, { status: manifest.status });
    }
  }

  #updateSlice(name: string): Promise<void> {
    const { pods } = this.#service(name);
    const slice = sliceManifest(name, pods, this.site, this.scope);
    return this.#options.kubernetes.merge(slice, { endpoints: sliceEndpoints(pods, this.site, this.scope) });
  }

  #podManifests(service: string, pods: readonly Pod[], identity: number): Manifest[] {
    if (this.scope === 'services') return [];
    return pods.flatMap((pod) => [podManifest(service, pod, this.site), endpointManifest(pod, identity, this.site)]);
  }

  /** In the order they are created. */
  #manifestsOf({ spec, pods, identity }: DeployedService): Manifest[] {
    return [
      ...(this.scope === 'everything' ? [identityManifest(spec.name, identity, this.site)] : []),
      serviceManifest(spec, this.scope),
      ...this.#podManifests(spec.name, pods, identity),
      sliceManifest(spec.name, pods, this.site, this.scope),
    ];
  }
}
