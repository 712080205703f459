/** ConfigMaps and Secrets that the chart makes of its values: those of the agents, of the users, of the peers, of the certificates. */
import { stringify } from 'yaml';
import type { KubeObject } from '../kube-object.ts';
import { certificates } from './certificates.ts';
import type { Peer, Values } from './options.ts';
import { isFrom } from './versions.ts';

const MOUNTED = '/var/lib/cilium/clustermesh';

export function configuration(values: Values): readonly KubeObject[] {
  return [ciliumConfig(values), ...remoteUsers(values), ...peerSecrets(values), ...certificateSecrets(values)];
}

/** What concerns the mesh; the chart's own has a hundred keys more. */
function ciliumConfig(values: Values): KubeObject {
  const { version, namespace, clusterName, clusterId, externalKvstore } = values;
  const since = (first: Values['version'], data: Readonly<Record<string, string>>) => (isFrom(version, first) ? data : {});
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cilium-config', namespace },
    data: {
      'cluster-name': clusterName,
      'cluster-id': String(clusterId),
      'identity-allocation-mode': externalKvstore === undefined ? 'crd' : 'kvstore',
      'max-connected-clusters': String(values.maxConnectedClusters),
      ...since('1.16', { 'clustermesh-enable-endpoint-sync': String(values.endpointSliceSync) }),
      ...since('1.17', { 'clustermesh-enable-mcs-api': String(values.mcsapi) }),
      ...since('1.19', { 'clustermesh-cache-ttl': values.cacheTtl, 'policy-default-local-cluster': 'true' }),
      ...since('1.20', { 'clustermesh-default-global-namespace': String(values.defaultGlobalNamespace) }),
      ...(externalKvstore === undefined ? {} : { 'etcd-config': externalKvstore }),
    },
  };
}

/** Up to 1.16 the own agents are among them, with kvstoremesh. */
function remoteUsers({ version, namespace, authMode, clusterName, kvstoremesh, peers }: Values): readonly KubeObject[] {
  if (authMode === 'legacy') return [];
  const own = kvstoremesh && !isFrom(version, '1.17') ? [clusterName] : [];
  const names = [...own, ...peers.map(({ name }) => name)];
  const users = stringify({ users: names.map((name) => ({ name: `remote-${name}`, role: 'remote' })) });
  const metadata = { name: 'clustermesh-remote-users', namespace };
  return [{ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'users.yaml': users } }];
}

function peerSecrets(values: Values): readonly KubeObject[] {
  const { namespace, kvstoremesh, peers } = values;
  const entries = (entry: (peer: Peer) => string) => Object.fromEntries(peers.map((peer) => [peer.name, encoded(entry(peer))]));
  const secret = (name: string, data: Readonly<Record<string, string>>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    data,
  });
  return [
    secret(
      'cilium-clustermesh',
      entries((peer) => agentEntry(peer, values)),
    ),
    ...(kvstoremesh
      ? [
          secret(
            'cilium-kvstoremesh',
            entries((peer) => meshEntry(peer, values)),
          ),
        ]
      : []),
  ];
}

/** A client file of etcd for kvstoremesh, or for agents that connect to the peer themselves. */
function meshEntry({ name, port, ips, address }: Peer, { version }: Values): string {
  const host = ips === undefined ? address : `${name}.mesh.cilium.io`;
  const aliases = isFrom(version, '1.20') && ips !== undefined ? { 'cilium-host-aliases': [{ hostname: host, ips }] } : {};
  return stringify({ endpoints: [`https://${host}:${port}`], ...clientFiles('common'), ...aliases });
}

/** With kvstoremesh, agents read its mirror: up to 1.16 with the certificate that is for other clusters. */
function agentEntry(peer: Peer, values: Values): string {
  const { version, namespace, kvstoremesh, externalKvstore } = values;
  if (externalKvstore !== undefined) return externalKvstore;
  if (!kvstoremesh) return meshEntry(peer, values);
  const endpoints = [`https://clustermesh-apiserver.${namespace}.svc:2379`];
  return stringify({ endpoints, ...clientFiles(isFrom(version, '1.17') ? 'local' : 'common') });
}

function clientFiles(prefix: 'common' | 'local') {
  const at = (file: string) => `${MOUNTED}/${prefix}-etcd-client${file}`;
  return { 'trusted-ca-file': at('-ca.crt'), 'key-file': at('.key'), 'cert-file': at('.crt') };
}

function certificateSecrets(values: Values): readonly KubeObject[] {
  const { issuer, namespace } = values;
  return Object.entries(certificates(issuer, values)).map(([name, { cert, key }]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name, namespace },
    data: { 'tls.crt': encoded(cert), 'tls.key': encoded(key), 'ca.crt': encoded(issuer.ca.cert) },
  }));
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}
