/** Users and roles of an etcd, set up with another client than the one under test. They are told apart by their certificates. */
import { readFileSync } from 'node:fs';
import { Etcd3, type IPermissionRequest, Range } from 'etcd3';
import type { Authority, CertificateFiles } from '../tls/certificates.ts';
import type { EtcdProcess } from './etcd-process.ts';

/** A client of the `etcd3` package, for administration and for reads that are compared with what the product does. */
export function etcd3Client(endpoint: string, credentials?: { readonly authority: Authority; readonly user: string }): Etcd3 {
  if (credentials === undefined) return new Etcd3({ hosts: endpoint });
  const { authority, user } = credentials;
  return clientWith(endpoint, authority, authority.issue({ name: user }));
}

function clientWith(endpoint: string, { caFile }: Authority, { certFile, keyFile }: CertificateFiles): Etcd3 {
  const [rootCertificate, certChain, privateKey] = [readFileSync(caFile), readFileSync(certFile), readFileSync(keyFile)];
  return new Etcd3({ hosts: endpoint, credentials: { rootCertificate, certChain, privateKey } });
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

export interface Administrator {
  /** Allows `name`, a user and a role, to read everything below `prefix`. */
  allowReading(name: string, prefix: string): Promise<void>;
  /** The same, and write it. */
  allowWriting(name: string, prefix: string): Promise<void>;
  close(): void;
}

/** Enables authentication, with `root` and the users `names`; their certificates distinguish them. */
export async function enableUsers(
  etcd: EtcdProcess,
  authority: Authority,
  root: CertificateFiles,
  names: readonly string[],
): Promise<Administrator> {
  // The package sends the host as the server name, which must not be an address.
  const admin = clientWith(etcd.endpoint.replace('127.0.0.1', 'localhost'), authority, root);
  for (const name of ['root', ...names]) {
    await admin.role(name).create();
    await admin.user(name).create(`password of ${name}`);
    await admin.user(name).addRole(name);
  }
  await admin.auth.authEnable();
  return {
    allowReading: async (name, prefix) => {
      await admin.role(name).grant({ permission: 'Read', range: Range.prefix(prefix) });
    },
    allowWriting: async (name, prefix) => {
      await admin.role(name).grant({ permission: 'Readwrite', range: Range.prefix(prefix) });
    },
    close: () => admin.close(),
  };
}
