/**
 * The users and roles that the original sets up in the etcd of a cluster, made with another client than the
 * one under test. Nobody has a password: a user is whoever shows a certificate with the name.
 */
import { readFileSync } from 'node:fs';
import { Etcd3, type IPermissionRequest, Range } from 'etcd3';
import type { Authority } from '../tls/certificates.ts';

interface OracleCredentials {
  readonly authority: Authority;
  readonly user: string;
}

/** A client of the `etcd3` package, for administration and for reads that are compared with what the product does. */
export function oracle(endpoint: string, credentials?: OracleCredentials): Etcd3 {
  if (credentials === undefined) return new Etcd3({ hosts: endpoint });
  const { certFile, keyFile } = credentials.authority.issue({ name: credentials.user });
  return new Etcd3({
    hosts: endpoint,
    credentials: {
      rootCertificate: readFileSync(credentials.authority.caFile),
      certChain: readFileSync(certFile),
      privateKey: readFileSync(keyFile),
    },
  });
}

/** Sets up what the original does for `cluster`, and turns authentication on last. `root` is a client with that user's certificate. */
export async function setUpUsers(root: Etcd3, cluster: string): Promise<void> {
  await addRole(root, 'local', [
    range('cilium/.heartbeat'),
    range('cilium/cache/'),
    range('cilium/cluster-config/'),
    range('cilium/synced/'),
  ]);
  await addRole(root, 'remote', [
    range('cilium/.heartbeat'),
    range('cilium/state/'),
    { permission: 'Read', key: `cilium/cluster-config/${cluster}` },
    range(`cilium/synced/${cluster}/`),
  ]);
  await addUser(root, 'root', 'root');
  await addUser(root, `admin-${cluster}`, 'root');
  await addUser(root, `local-${cluster}`, 'local');
  await addUser(root, 'remote', 'remote');
  await root.auth.authEnable();
}

function range(prefix: string): IPermissionRequest {
  return { permission: 'Read', range: Range.prefix(prefix) };
}

async function addRole(root: Etcd3, name: string, permissions: IPermissionRequest[]): Promise<void> {
  const role = await root.role(name).create();
  for (const permission of permissions) await role.grant(permission);
}

async function addUser(root: Etcd3, name: string, role: string): Promise<void> {
  await root.auth.userAdd({ name, options: { no_password: true } });
  await root.user(name).addRole(role);
}
