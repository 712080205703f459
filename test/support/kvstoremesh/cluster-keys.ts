/**
 * The keys of a cluster, in the proportions of a large one, with keys and values together of the sizes that such keys have: 80 %
 * pod addresses of about 190 bytes, 10 % identities of about 200, 8 % global Services with five backends of about 700, and 2 %
 * nodes of about 700.
 *
 * Deterministic, so that two programs, or two commits, mirror the same bytes.
 */
import { type EtcdKey, keyOf } from '../../../src/shared/etcd/types.ts';

export interface Entry {
  readonly key: EtcdKey;
  readonly value: Buffer;
}

/** Pods of a node; the rest of its /24 is not used. */
const PODS_PER_NODE = 40;
/** The identities of a cluster have 16 bits, of which the first 256 numbers are reserved. */
const MAX_IDENTITIES = 65_000;
const FIRST_IDENTITY = 256;
const BACKENDS = 5;

/** How many keys of each kind `total` keys have. */
export function proportions(total: number): { nodes: number; identities: number; services: number; endpoints: number } {
  const nodes = Math.max(1, Math.round(total * 0.02));
  const identities = Math.min(MAX_IDENTITIES, Math.round(total * 0.1));
  const services = Math.round(total * 0.08);
  return { nodes, identities, services, endpoints: total - nodes - identities - services };
}

/** `total` keys as the cluster `name` with `id` would export them, endpoint slices left out. */
export function* cluster(name: string, id: number, total: number): Iterable<Entry> {
  const { nodes, identities, services, endpoints } = proportions(total);
  for (let i = 0; i < nodes; i += 1) yield entry(`cilium/state/nodes/v1/${name}/${name}-worker-${i}`, node(name, id, i));
  for (let i = 0; i < identities; i += 1) yield entry(`cilium/state/identities/v1/id/${identityOf(id, i)}`, labels(name, i));
  for (let i = 0; i < services; i += 1)
    yield entry(`cilium/state/services/v1/${name}/team-${i % 90}/svc-${i}`, service(name, id, i));
  for (let i = 0; i < endpoints; i += 1) yield endpoint(id, i, total);
}

/** The other keys that a kvstoremesh needs: configuration, canaries, heartbeat. */
export function* announcements(name: string, id: number): Iterable<Entry> {
  const capabilities = '{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false}';
  yield entry(`cilium/cluster-config/${name}`, `{"id":${id},"capabilities":${capabilities}}`);
  for (const resource of ['nodes', 'services', 'serviceexports', 'identities', 'ip']) {
    yield entry(`cilium/synced/${name}/cilium/state/${resource}/v1`, '2026-01-01T00:00:00Z');
  }
  yield entry('cilium/.heartbeat', '2026-01-01T00:00:00Z');
}

/** The `i`th pod address of a cluster of `total` keys; another `pod` name makes another value. */
export function endpoint(id: number, i: number, total: number, pod = `app-${i % 500}-${i.toString(16)}-x7k2p`): Entry {
  const { nodes, identities } = proportions(total);
  const at = Math.floor(i / PODS_PER_NODE);
  const ip = address(at * 256 + 10 + (i % PODS_PER_NODE));
  return entry(
    `cilium/state/ip/v1/default/${ip}`,
    JSON.stringify({
      IP: ip,
      Mask: null,
      HostIP: hostAddress(at % nodes),
      ID: identityOf(id, i % Math.max(1, identities)),
      Key: 0,
      Metadata: '',
      K8sNamespace: `team-${i % 90}`,
      K8sPodName: pod,
    }),
  );
}

/** The same entry with a value that is `times` as long and still valid. */
export function enlarged({ key, value }: Entry, times: number): Entry {
  const filling = 'x'.repeat(Math.ceil(value.length * (times - 1)));
  const text = value.toString();
  const longer = text.endsWith('}') ? `${text.slice(0, -1)},"Comment":"${filling}"}` : `${text}k8s:comment=${filling};`;
  return { key, value: Buffer.from(longer) };
}

function entry(key: string, value: string): Entry {
  return { key: keyOf(key), value: Buffer.from(value) };
}

function identityOf(id: number, i: number): number {
  return id * 65536 + FIRST_IDENTITY + i;
}

function address(i: number): string {
  return `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
}

function hostAddress(i: number): string {
  return `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
}

function labels(cluster: string, i: number): string {
  const namespace = `team-${i % 90}`;
  return [
    `k8s:app=app-${i % 500}`,
    `k8s:io.cilium.k8s.policy.cluster=${cluster}`,
    'k8s:io.cilium.k8s.policy.serviceaccount=default',
    `k8s:io.kubernetes.pod.namespace=${namespace}`,
    `k8s:version=v${i}`,
    '',
  ].join(';');
}

function node(cluster: string, id: number, i: number): string {
  const name = `${cluster}-worker-${i}`;
  return JSON.stringify({
    Name: name,
    Cluster: cluster,
    IPAddresses: [
      { Type: 'InternalIP', IP: hostAddress(i) },
      { Type: 'CiliumInternalIP', IP: address(i * 256 + 1) },
    ],
    IPv4AllocCIDR: { IP: address(i * 256), Mask: '////AA==' },
    IPv4SecondaryAllocCIDRs: null,
    IPv6AllocCIDR: null,
    IPv6SecondaryAllocCIDRs: null,
    IPv4HealthIP: address(i * 256 + 2),
    IPv6HealthIP: '',
    ClusterID: id,
    Source: 'custom-resource',
    EncryptionKey: 0,
    Labels: {
      'kubernetes.io/arch': 'amd64',
      'kubernetes.io/os': 'linux',
      'kubernetes.io/hostname': name,
      'topology.kubernetes.io/zone': `zone-${i % 3}`,
    },
    Annotations: null,
    NodeIdentity: 1,
    WireguardPubKey: '',
    BootID: `5e7a1c52-0b7e-4f0c-9f57-${i.toString(16).padStart(12, '0')}`,
  });
}

function service(cluster: string, id: number, i: number): string {
  const port = { http: { Protocol: 'TCP', Port: 8080 } };
  const backends = Array.from({ length: BACKENDS }, (_, n) => i * BACKENDS + n).map((pod) => [
    address(Math.floor(pod / PODS_PER_NODE) * 256 + 10 + (pod % PODS_PER_NODE)),
    port,
  ]);
  return JSON.stringify({
    cluster,
    namespace: `team-${i % 90}`,
    name: `svc-${i}`,
    frontends: { [`10.96.${(i >> 8) & 255}.${i & 255}`]: { http: { Protocol: 'TCP', Port: 80 } } },
    backends: Object.fromEntries(backends),
    hostnames: {},
    labels: {
      app: `app-${i % 500}`,
      'app.kubernetes.io/part-of': `product-${i % 90}`,
      'app.kubernetes.io/managed-by': 'Helm',
      'app.kubernetes.io/version': `1.${i % 20}`,
    },
    selector: { app: `app-${i % 500}` },
    zones: {},
    includeExternal: true,
    shared: true,
    clusterID: id,
  });
}
