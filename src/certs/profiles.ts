/**
 * The four certificates of a clustermesh-apiserver, as Cilium's chart has them: the names of their Secrets, whom they are for, and
 * what for.
 */
import type { Usage } from './issue.ts';

export type ProfileName = 'server' | 'admin' | 'remote' | 'local';

export type AuthMode = 'legacy' | 'migration' | 'cluster';

export interface Profile {
  readonly name: ProfileName;
  readonly secretName: string;
  /** Of clients: the user of etcd that a client is. */
  readonly commonName: string;
  /** Other common names that do as well. */
  readonly alsoNamed: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usage: Usage;
}

export interface ProfileOptions {
  readonly namespace: string;
  readonly clusterName: string;
  /** Undefined where either name of the remote user will do. */
  readonly authMode: AuthMode | undefined;
  readonly extraDnsNames: readonly string[];
  readonly extraIpAddresses: readonly string[];
}

/** Names that KVStoreMesh and agents make of the names of remote clusters. */
const MESH_NAMES = '*.mesh.cilium.io';

/** The bound of a common name (X.520); what clients verify are the alternative names. */
const MAX_COMMON_NAME = 64;

/** In the order in which they are issued. */
export function profilesOf(options: ProfileOptions): readonly Profile[] {
  const { namespace, clusterName, authMode, extraDnsNames, extraIpAddresses } = options;
  const service = `clustermesh-apiserver.${namespace}.svc`;
  const own = `remote-${clusterName}`;
  const client = { dnsNames: [], ipAddresses: [], usage: 'client', alsoNamed: [] } as const;
  return [
    {
      name: 'server',
      secretName: 'clustermesh-apiserver-server-cert',
      commonName: service.length > MAX_COMMON_NAME ? 'clustermesh-apiserver' : service,
      alsoNamed: [],
      dnsNames: [...new Set([service, MESH_NAMES, ...extraDnsNames])],
      ipAddresses: [...new Set(['127.0.0.1', '::1', ...extraIpAddresses])],
      usage: 'server',
    },
    {
      ...client,
      name: 'admin',
      secretName: 'clustermesh-apiserver-admin-cert',
      commonName: `admin-${clusterName}`,
      // Of charts up to 1.14; etcd has this user in any case.
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
  ];
}
