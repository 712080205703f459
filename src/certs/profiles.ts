/**
 * The four certificates of a clustermesh-apiserver as in Cilium's chart: Secret, common name, SANs and usage.
 */
import type { Usage } from './issue.ts';

export type ProfileName = 'server' | 'admin' | 'remote' | 'local';

export type AuthMode = 'legacy' | 'migration' | 'cluster';

export interface Profile {
  readonly name: ProfileName;
  readonly secretName: string;
  /** Of a client certificate: the etcd user. */
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
}

/** KVStoreMesh and agents dial remote clusters as `<cluster>.mesh.cilium.io`. */
const MESH_NAMES = '*.mesh.cilium.io';

/** Upper bound of a common name (X.520). Clients verify the SANs. */
const MAX_COMMON_NAME = 64;

/** In the order of issuance. */
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
  ];
}
