/**
 * The entries of the Secrets `cilium-kvstoremesh` and `cilium-clustermesh`: etcd client files by the name of the remote cluster,
 * byte for byte those of the charts.
 */
import { hostPort } from '../shared/etcd/endpoint-address.ts';
import type { Destination } from './addresses.ts';

/** Read by kvstoremesh. */
export const KVSTOREMESH_SECRET = 'cilium-kvstoremesh';
/** Read by agents and operator. */
export const CLUSTERMESH_SECRET = 'cilium-clustermesh';

/** Where the Secrets and the certificates are mounted. */
const DIRECTORY = '/var/lib/cilium/clustermesh';
const DOMAIN = 'mesh.cilium.io';

/** Keys of older releases and of Cilium's chart beside an entry: a certificate for one remote cluster. */
const LEFTOVERS = ['etcd-client-ca.crt', 'etcd-client.crt', 'etcd-client.key'];

/** A connection to the etcd of the remote cluster `name`, with the certificate for remote clusters. */
export function remoteEntry(name: string, { names, ips, port }: Destination): string {
  const host = `${name}.${DOMAIN}`;
  const hosts = ips.length > 0 ? [host, ...names] : names;
  const aliases =
    ips.length > 0
      ? ['cilium-host-aliases:', `  - hostname: ${host}`, '    ips:', ...ips.map((ip) => `    - ${yamlText(ip)}`)]
      : [];
  return [
    ...clientFile(
      hosts.map((each) => `https://${hostPort(each, port)}`),
      'common-etcd-client',
    ),
    ...aliases,
  ].join('\n');
}

/** A connection to the local etcd, into which kvstoremesh mirrors the remote clusters. */
export function localEntry(namespace: string): string {
  return clientFile([`https://clustermesh-apiserver.${namespace}.svc:2379`], 'local-etcd-client').join('\n');
}

/** Keys for the cluster `name` beside its entry, which no entry written here uses. */
export function leftoversOf(name: string): readonly string[] {
  return LEFTOVERS.map((leftover) => `${name}.${leftover}`);
}

/** The key that freezes or withdraws the mirror of the cluster `name`; see src/kvstoremesh/configuration/quarantine.ts. */
export function quarantineKey(name: string): string {
  return `${name}.quarantine`;
}

function clientFile(endpoints: readonly string[], files: string): readonly string[] {
  return [
    'endpoints:',
    ...endpoints.map((endpoint) => `  - ${endpoint}`),
    `trusted-ca-file: ${DIRECTORY}/${files}-ca.crt`,
    `key-file: ${DIRECTORY}/${files}.key`,
    `cert-file: ${DIRECTORY}/${files}.crt`,
  ];
}

/** YAML takes a colon at the end for a mapping. */
function yamlText(ip: string): string {
  return ip.endsWith(':') ? `'${ip}'` : ip;
}
