/**
 * A Kubernetes API under test, with the few requests the contract makes again and again.
 */
import type { KubernetesProvider, Manifest } from '../../support/kubernetes/kubernetes-provider.ts';
import type { KubernetesRequests, Method } from '../../support/kubernetes/kubernetes-requests.ts';

export const NODES = '/apis/cilium.io/v2/ciliumnodes';
export const SERVICES = '/api/v1/namespaces/shop/services';

export interface ObjectList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string; readonly remainingItemCount?: number };
  readonly items: readonly Manifest[];
}

export class Api {
  readonly provider: KubernetesProvider;

  constructor(provider: KubernetesProvider) {
    this.provider = provider;
  }

  get requests(): KubernetesRequests {
    return this.provider.requests;
  }

  async createNode(name: string, labels: Record<string, string> = {}, spec: unknown = {}): Promise<Manifest> {
    const node = { apiVersion: 'cilium.io/v2', kind: 'CiliumNode', metadata: { name, labels }, spec };
    return (await this.requests.create(NODES, node)) as Manifest;
  }

  /** The service `web` of the namespace `shop`. */
  async createService(spec: Record<string, unknown> = {}): Promise<Manifest> {
    const given = { clusterIP: '10.96.9.9', ports: [{ name: 'http', port: 80 }], ...spec };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: given };
    return (await this.requests.create(SERVICES, service)) as Manifest;
  }

  async listed(query = '', path = NODES): Promise<ObjectList> {
    return (await this.requests.get(`${path}?${query}`)) as ObjectList;
  }

  names(list: ObjectList): readonly string[] {
    return list.items.map((item) => item.metadata.name);
  }

  /** The status code of the answer to a request. */
  async code(method: Method, path: string, body?: unknown, contentType?: string): Promise<number> {
    return (await this.requests.send(method, path, body, contentType)).code;
  }
}

export function revisionOf(object: Manifest): string {
  return String(object.metadata.resourceVersion);
}
