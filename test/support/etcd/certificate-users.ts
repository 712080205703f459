/**
 * Users and roles of an etcd, set up with another client than the one under test.
 */
import { readFileSync } from 'node:fs';
import { Etcd3, Range } from 'etcd3';
import type { Authority, CertificateFiles } from '../tls/certificates.ts';
import type { EtcdProcess } from './etcd-process.ts';

export interface Administrator {
  /** Lets `name`, a user and a role, read everything below `prefix`. */
  allowReading(name: string, prefix: string): Promise<void>;
  /** The same, and write it. */
  allowWriting(name: string, prefix: string): Promise<void>;
  close(): void;
}

/** Turns authentication on, with `root` and the users `names`; they are told apart by their certificates. */
export async function enableUsers(
  etcd: EtcdProcess,
  authority: Authority,
  root: CertificateFiles,
  names: readonly string[],
): Promise<Administrator> {
  const admin = new Etcd3({
    // The package sends the host as the server name, which must not be an address.
    hosts: etcd.endpoint.replace('127.0.0.1', 'localhost'),
    credentials: {
      rootCertificate: readFileSync(authority.caFile),
      privateKey: readFileSync(root.keyFile),
      certChain: readFileSync(root.certFile),
    },
  });
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
