/** An object of every kind that the Pod exports. */

const SHOP = '/api/v1/namespaces/shop';
const IP = '10.1.0.7';

interface Created {
  /** Of the collection. */
  readonly path: string;
  readonly object: object;
}

export const EXPORTED: readonly Created[] = [
  { path: '/api/v1/namespaces', object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } } },
  {
    path: `${SHOP}/services`,
    object: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', annotations: { 'service.cilium.io/global': 'true' } },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    },
  },
  {
    path: '/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices',
    object: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [IP], conditions: { ready: true } }],
      ports: [{ port: 8080, protocol: 'TCP' }],
    },
  },
  {
    path: '/apis/cilium.io/v2/ciliumnodes',
    object: {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: 'node-1' },
      spec: { addresses: [{ type: 'InternalIP', ip: '192.0.2.100' }] },
    },
  },
  {
    path: '/apis/cilium.io/v2/ciliumidentities',
    object: {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumIdentity',
      metadata: { name: '70000' },
      'security-labels': { 'k8s:app': 'web', 'k8s:io.kubernetes.pod.namespace': 'shop' },
    },
  },
  {
    path: '/apis/cilium.io/v2/namespaces/shop/ciliumendpoints',
    object: {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumEndpoint',
      metadata: { name: 'web-abc' },
      status: {
        id: 1,
        identity: { id: 70_000, labels: ['k8s:app=web'] },
        networking: { node: '192.0.2.100', addressing: [{ ipv4: IP }] },
      },
    },
  },
  {
    path: '/apis/cilium.io/v2alpha1/ciliumendpointslices',
    object: {
      apiVersion: 'cilium.io/v2alpha1',
      kind: 'CiliumEndpointSlice',
      metadata: { name: 'ces-1' },
      namespace: 'shop',
      endpoints: [{ name: 'web-abc', id: 70_000, networking: { node: '192.0.2.100', addressing: [{ ipv4: IP }] } }],
    },
  },
  {
    path: '/apis/multicluster.x-k8s.io/v1beta1/namespaces/shop/serviceexports',
    object: { apiVersion: 'multicluster.x-k8s.io/v1beta1', kind: 'ServiceExport', metadata: { name: 'web' } },
  },
];

/** The parts of `cilium/state/` and `cilium/cache/` that have a key of it. */
export const KINDS = ['identities/v1', 'ip/v1', 'nodes/v1', 'services/v1'];
export const MCS_API_KINDS = ['serviceexports/v1'];
