/** From the facts about a cluster to the values of a chart that start clustermesh-apiserver in it. Pure. */
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import type { ClusterIdentity } from '../cluster.ts';

export type ServiceType = 'LoadBalancer' | 'NodePort' | 'ClusterIP';
export type Chart = 'cilium' | 'clustermesh-apiserver';
export type Cloud = 'aks' | 'eks' | 'gke';

/** How the etcd of the cluster is reached. */
export interface Exposure {
  readonly type: ServiceType;
  readonly cloud: Cloud | undefined;
  /** Why this one, in a few words. */
  readonly reason: string;
  /** '' where there is nothing to say. */
  readonly warning: string;
}

const PROVIDERS: Readonly<Record<string, Cloud>> = { azure: 'aks', aws: 'eks', gce: 'gke' };

const ANNOTATIONS: Readonly<Record<Cloud, Readonly<Record<string, string>>>> = {
  aks: { 'service.beta.kubernetes.io/azure-load-balancer-internal': 'true' },
  eks: { 'service.beta.kubernetes.io/aws-load-balancer-scheme': 'internal' },
  gke: {
    'networking.gke.io/load-balancer-type': 'Internal',
    'networking.gke.io/internal-load-balancer-allow-global-access': 'true',
  },
};

const NODE_PORT_WARNING =
  'other clusters connect to addresses of nodes: connect again if nodes are replaced, or use --service-type=LoadBalancer';

/** By the provider of the nodes, unless `type` names one. */
export function exposureOf(nodes: readonly JsonRecord[], type: ServiceType | ''): Exposure {
  const providers = nodes.map(({ spec }) => String(recordOf(spec).providerID ?? '').split(':')[0] ?? '');
  const cloud = providers.map((provider) => PROVIDERS[provider]).find((each) => each !== undefined);
  const chosen = type || (cloud === undefined ? 'NodePort' : 'LoadBalancer');
  const reason =
    type !== ''
      ? 'set by --service-type'
      : cloud === undefined
        ? 'the nodes name no known cloud'
        : `the nodes are of ${cloud.toUpperCase()}`;
  return {
    type: chosen,
    cloud: chosen === 'LoadBalancer' ? cloud : undefined,
    reason,
    warning: chosen === 'NodePort' ? NODE_PORT_WARNING : '',
  };
}

/** Why the cluster cannot be part of a mesh, with the remedy; undefined where it can. */
export function identityProblem({ name, id, maxConnectedClusters }: ClusterIdentity): string | undefined {
  const remedy = `set cluster.name and cluster.id of the chart cilium, and restart its Pods and the workloads of the cluster`;
  if (name === 'default') return `the cluster has the name "default", which each cluster has at first; ${remedy}`;
  if (!(id >= 1 && id <= maxConnectedClusters))
    return `the cluster has the ID ${id}; allowed: 1 to ${maxConnectedClusters}; ${remedy}`;
  return undefined;
}

export function enableValues(chart: Chart, { name, id }: ClusterIdentity, { type, cloud }: Exposure): object {
  if (chart === 'clustermesh-apiserver')
    return { cluster: { name, id }, service: { type, ...(cloud === undefined ? {} : { cloud }) } };
  const annotations = cloud === undefined ? {} : { annotations: ANNOTATIONS[cloud] };
  return {
    clustermesh: {
      useAPIServer: true,
      config: { enabled: true },
      apiserver: { kvstoremesh: { enabled: true }, service: { type, ...annotations } },
    },
  };
}
