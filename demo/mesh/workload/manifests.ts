/**
 * The Kubernetes objects of the story, as kubectl, the controllers of a cluster and its Cilium agents would
 * write them.
 */
import type { Manifest } from './kubernetes-client.ts';

/** The one namespace the demo writes to. */
export const NAMESPACE = 'clustermesh-demo';

/** An annotation of a service that identifies its version. */
export const MARK_LABEL = 'clustermesh-demo/mark';

const PORT = { name: 'http', port: 80, protocol: 'TCP' };

export interface ServiceSpec {
  readonly name: string;
  /** Which backends the agents prefer; undefined for no preference. */
  readonly affinity?: 'local';
  /** Whether other clusters may use it. */
  readonly shared: boolean;
}

export interface Pod {
  readonly name: string;
  readonly ip: string;
}

/** What differs between the clusters. */
export interface Site {
  readonly cluster: string;
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly podCidr: string;
}

/** Which controllers of a cluster the demo replaces. `services`: no pods and agents, because real ones would act on the objects. */
export type Scope = 'everything' | 'services';

export function namespaceManifest(): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } };
}

export function nodeManifest({ nodeName, nodeIp, podCidr }: Site): Manifest {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNode',
    metadata: { name: nodeName },
    spec: { addresses: [{ type: 'InternalIP', ip: nodeIp }], ipam: { podCIDRs: [podCidr] } },
  };
}

/** Without a selector in the scope `services`: the cluster's own controller then leaves its endpoint slices alone. */
export function serviceManifest(spec: ServiceSpec, scope: Scope): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: spec.name,
      namespace: NAMESPACE,
      labels: { app: spec.name },
      annotations: {
        'service.cilium.io/global': 'true',
        ...(spec.affinity === undefined ? {} : { 'service.cilium.io/affinity': spec.affinity }),
        ...(spec.shared ? {} : { 'service.cilium.io/shared': 'false' }),
      },
    },
    spec: { ports: [PORT], ...(scope === 'everything' ? { selector: { app: spec.name } } : {}) },
  };
}

export function sliceName(service: string): string {
  return `${service}-ipv4`;
}

export function sliceManifest(service: string, pods: readonly Pod[], site: Site, scope: Scope): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: sliceName(service),
      namespace: NAMESPACE,
      labels: { 'kubernetes.io/service-name': service, 'endpointslice.kubernetes.io/managed-by': NAMESPACE },
    },
    addressType: 'IPv4',
    ports: [PORT],
    endpoints: sliceEndpoints(pods, site, scope),
  };
}

export function sliceEndpoints(pods: readonly Pod[], site: Site, scope: Scope): unknown[] {
  return pods.map(({ name, ip }) => ({
    addresses: [ip],
    conditions: { ready: true, serving: true, terminating: false },
    ...(scope === 'everything' ? { nodeName: site.nodeName, targetRef: { kind: 'Pod', namespace: NAMESPACE, name } } : {}),
  }));
}

export function podManifest(service: string, { name, ip }: Pod, { nodeName, nodeIp }: Site): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { app: service } },
    spec: { nodeName, containers: [{ name: 'web', image: 'nginx' }] },
    status: {
      phase: 'Running',
      hostIP: nodeIp,
      podIP: ip,
      podIPs: [{ ip }],
      containerStatuses: [{ name: 'web', ready: true, restartCount: 0, image: 'nginx', imageID: '' }],
    },
  };
}

/** `number` is the name, as with every identity. */
export function identityManifest(service: string, number: number, { cluster }: Site): Manifest {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumIdentity',
    metadata: { name: String(number), labels: { app: service, 'io.kubernetes.pod.namespace': NAMESPACE } },
    'security-labels': {
      'k8s:app': service,
      'k8s:io.cilium.k8s.policy.cluster': cluster,
      'k8s:io.kubernetes.pod.namespace': NAMESPACE,
    },
  };
}

export function endpointManifest({ name, ip }: Pod, identity: number, { nodeIp }: Site): Manifest {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEndpoint',
    metadata: { name, namespace: NAMESPACE },
    status: { identity: { id: identity }, networking: { addressing: [{ ipv4: ip }], node: nodeIp } },
  };
}
