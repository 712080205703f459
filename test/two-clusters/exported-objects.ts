/**
 * One object of each kind that *east* exports, with the key it leads to in the etcd of either cluster,
 * written out: nothing here is computed from the product's own mappings.
 */
import type { Manifest } from '../support/kubernetes/kubernetes-provider.ts';

export interface Export {
  readonly kind: string;
  /** In the etcd of *east*. */
  readonly eastKey: string;
  /** In the etcd of *west*. */
  readonly westKey: string;
}

export interface ExportedObjects {
  readonly manifests: readonly Manifest[];
  readonly exports: readonly Export[];
}

export const NAMESPACE: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };

/** A service of the mesh by default. */
export function serviceManifest(
  name: string,
  annotations: Record<string, string> = { 'service.cilium.io/global': 'true' },
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', annotations },
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }], selector: { app: name } },
  };
}

export function sliceManifest(service: string, address: string): Manifest {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${service}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName: `node-of-${service}` }],
  };
}

/** A service called `name` with all there is to a workload; `number`, of 1 to 255, keeps those of several tests apart. */
export function exportedObjects(name: string, number: number): ExportedObjects {
  const address = `10.7.${number}.1`;
  const identity = String(70_000 + number);
  return {
    manifests: [
      serviceManifest(name),
      sliceManifest(name, address),
      { apiVersion: 'multicluster.x-k8s.io/v1beta1', kind: 'ServiceExport', metadata: { name, namespace: 'shop' } },
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNode',
        metadata: { name: `node-of-${name}` },
        spec: {
          addresses: [{ type: 'InternalIP', ip: `172.18.0.${number}` }],
          ipam: { podCIDRs: [`10.7.${number}.0/24`] },
        },
      },
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumIdentity',
        metadata: { name: identity, labels: { app: name, 'io.kubernetes.pod.namespace': 'shop' } },
        'security-labels': { 'k8s:app': name, 'k8s:io.kubernetes.pod.namespace': 'shop' },
      },
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumEndpoint',
        metadata: { name: `${name}-1`, namespace: 'shop' },
        status: {
          id: number,
          identity: { id: Number(identity) },
          networking: { addressing: [{ ipv4: address }], node: `172.18.0.${number}` },
        },
      },
    ],
    exports: [
      exported('Service', `cilium/state/services/v1/east/shop/${name}`, `cilium/cache/services/v1/east/shop/${name}`),
      exported(
        'EndpointSlice',
        `cilium/state/endpointslices/v1/east/shop/${name}-1`,
        `cilium/cache/endpointslices/v1/east/shop/${name}-1`,
      ),
      exported(
        'ServiceExport',
        `cilium/state/serviceexports/v1/east/shop/${name}`,
        `cilium/cache/serviceexports/v1/east/shop/${name}`,
      ),
      exported('CiliumNode', `cilium/state/nodes/v1/east/node-of-${name}`, `cilium/cache/nodes/v1/east/node-of-${name}`),
      exported('CiliumIdentity', `cilium/state/identities/v1/id/${identity}`, `cilium/cache/identities/v1/east/id/${identity}`),
      exported('CiliumEndpoint', `cilium/state/ip/v1/default/${address}`, `cilium/cache/ip/v1/east/${address}`),
    ],
  };
}

function exported(kind: string, eastKey: string, westKey: string): Export {
  return { kind, eastKey, westKey };
}
