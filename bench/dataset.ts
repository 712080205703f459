/**
 * The keys of a cluster, in the proportions of a large one: mostly pod addresses, some identities and services, few nodes.
 *
 * Deterministic, so that two programs, or two commits, mirror the same bytes.
 */
import { type EtcdKey, keyOf } from '../src/shared/etcd/types.ts';

export interface Entry {
  readonly key: EtcdKey;
  readonly value: Buffer;
}

/** `total` keys as the cluster `name` with `id` would export them, endpoint slices left out. */
export function* cluster(name: string, id: number, total: number): Iterable<Entry> {
  const nodes = Math.max(1, Math.round(total * 0.003));
  const identities = Math.round(total * 0.04);
  const services = Math.round(total * 0.06);
  for (let i = 0; i < nodes; i += 1) yield entry(`cilium/state/nodes/v1/${name}/node-${i}`, node(name, id, i));
  for (let i = 0; i < identities; i += 1) {
    const labels = `k8s:app=app-${i % 500};k8s:io.cilium.k8s.policy.cluster=${name};k8s:io.kubernetes.pod.namespace=team-${i % 90};`;
    yield entry(`cilium/state/identities/v1/id/${id * 65536 + i}`, labels);
  }
  for (let i = 0; i < services; i += 1)
    yield entry(`cilium/state/services/v1/${name}/team-${i % 90}/svc-${i}`, service(name, id, i));
  const endpoints = total - nodes - identities - services;
  for (let i = 0; i < endpoints; i += 1)
    yield entry(`cilium/state/ip/v1/default/${address(i)}`, endpoint(id, i, nodes, identities));
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

function entry(key: string, value: string): Entry {
  return { key: keyOf(key), value: Buffer.from(value) };
}

function address(i: number): string {
  return `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
}

function node(cluster: string, id: number, i: number): string {
  return JSON.stringify({
    Name: `node-${i}`,
    Cluster: cluster,
    IPAddresses: [
      { Type: 'InternalIP', IP: `172.16.${i >> 8}.${i & 255}` },
      { Type: 'CiliumInternalIP', IP: address(i * 256 + 1) },
    ],
    IPv4AllocCIDR: { IP: address(i * 256), Mask: '////AA==' },
    ClusterID: id,
    Source: 'custom-resource',
    Labels: { 'kubernetes.io/hostname': `node-${i}`, 'topology.kubernetes.io/zone': `z${i % 3}` },
  });
}

function service(cluster: string, id: number, i: number): string {
  const backends = Object.fromEntries(
    Array.from({ length: 4 }, (_, n) => [address(i * 4 + n), { http: { Protocol: 'TCP', Port: 8080 } }]),
  );
  return JSON.stringify({
    cluster,
    namespace: `team-${i % 90}`,
    name: `svc-${i}`,
    frontends: { [`10.96.${(i >> 8) & 255}.${i & 255}`]: { http: { Protocol: 'TCP', Port: 80 } } },
    backends,
    labels: {},
    selector: { app: `app-${i % 500}` },
    includeExternal: true,
    shared: true,
    clusterID: id,
  });
}

function endpoint(id: number, i: number, nodes: number, identities: number): string {
  return JSON.stringify({
    IP: address(i),
    Mask: null,
    HostIP: `172.16.${(i % nodes) >> 8}.${(i % nodes) & 255}`,
    ID: id * 65536 + (i % Math.max(1, identities)),
    Key: 0,
    Metadata: '',
    K8sNamespace: `team-${i % 90}`,
    K8sPodName: `app-${i % 500}-${i.toString(16)}-x7k2p`,
  });
}
