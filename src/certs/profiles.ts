/**
 * The certificates of a clustermesh-apiserver: Secret, common name, SANs and usage. Four are as in Cilium's chart; the members of a
 * replicated etcd have a fifth one for connections between them.
 */
import type { Usage } from './issue.ts';

export type ProfileName = 'server' | 'admin' | 'remote' | 'local' | 'peer';

export type AuthMode = 'legacy' | 'migration' | 'cluster';

export interface Profile {
  readonly name: ProfileName;
  readonly secretName: string;
  /** Of a client certificate: the etcd user. Of a peer certificate: etcd's `--peer-cert-allowed-cn`. */
  readonly commonName: string;
  /** Other accepted common names. */
  readonly alsoNamed: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usage: Usage;
}

export interface ProfileOptions {
  readonly namespace: string;
  readonly clusterName: string;
  /** Undefined: both names of the remote user are accepted. */
  readonly authMode: AuthMode | undefined;
  readonly extraDnsNames: readonly string[];
  readonly extraIpAddresses: readonly string[];
  /** Domain of the Services of Kubernetes. */
  readonly clusterDomain: string;
  /** The etcd is replicated: its members have a certificate, and names in the server certificate. */
  readonly hasPeers: boolean;
}

export const PEER_SECRET = 'clustermesh-apiserver-peer-cert';

/** KVStoreMesh and agents dial remote clusters as `<cluster>.mesh.cilium.io`. */
const MESH_NAMES = '*.mesh.cilium.io';

/** Upper bound of a common name (X.520). Clients verify the SANs. */
const MAX_COMMON_NAME = 64;

/** In the order of issuance. */
export function profilesOf(options: ProfileOptions): readonly Profile[] {
  const { namespace, clusterName, authMode, extraDnsNames, extraIpAddresses, hasPeers } = options;
  const memberNames = hasPeers ? memberNamesOf(options) : [];
  const service = `clustermesh-apiserver.${namespace}.svc`;
  const own = `remote-${clusterName}`;
  const client = { dnsNames: [], ipAddresses: [], usage: 'client', alsoNamed: [] } as const;
  return [
    {
      name: 'server',
      secretName: 'clustermesh-apiserver-server-cert',
      commonName: service.length > MAX_COMMON_NAME ? 'clustermesh-apiserver' : service,
      alsoNamed: [],
      dnsNames: [...new Set([service, MESH_NAMES, ...memberNames, ...extraDnsNames])],
      ipAddresses: [...new Set(['127.0.0.1', '::1', ...extraIpAddresses])],
      usage: 'server',
    },
    {
      ...client,
      name: 'admin',
      secretName: 'clustermesh-apiserver-admin-cert',
      commonName: `admin-${clusterName}`,
      // Cilium's charts up to 1.14; every etcd has this user.
      alsoNamed: ['root'],
    },
    {
      ...client,
      name: 'remote',
      secretName: 'clustermesh-apiserver-remote-cert',
      commonName: authMode === 'cluster' ? own : 'remote',
      alsoNamed: authMode === undefined ? [own] : [],
    },
    { ...client, name: 'local', secretName: 'clustermesh-apiserver-local-cert', commonName: `local-${clusterName}` },
    ...(hasPeers ? [peerProfile(clusterName, memberNames)] : []),
  ];
}

function peerProfile(clusterName: string, memberNames: readonly string[]): Profile {
  return {
    name: 'peer',
    secretName: PEER_SECRET,
    // Clusters may share their CA: the name tells whose members they are.
    commonName: `peer-${clusterName}`,
    alsoNamed: [],
    dnsNames: [...memberNames, 'localhost'],
    ipAddresses: ['127.0.0.1', '::1'],
    usage: 'peer',
  };
}

/** Of the Pods of the StatefulSet, by its headless Service. */
function memberNamesOf({ namespace, clusterDomain }: ProfileOptions): readonly string[] {
  const service = `*.clustermesh-apiserver-peers.${namespace}.svc`;
  return [service, `${service}.${clusterDomain}`];
}
