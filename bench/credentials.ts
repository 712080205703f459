/** Certificates of a run, and the users of its etcds, as a deployment has them: the common name of a certificate is the user. */

import { etcd3Client, setUpUsers } from '../test/support/etcd/etcd-users.ts';
import { CertificateDirectory, type CertificateFiles } from '../test/support/tls/certificates.ts';

export class Credentials implements AsyncDisposable {
  readonly #directory = new CertificateDirectory();
  readonly #authority = this.#directory.authority('bench');
  readonly #server = this.#authority.issue({ name: 'etcd', alternatives: ['DNS:localhost', 'IP:127.0.0.1'] });
  readonly #clients = new Map<string, CertificateFiles>();

  /** Of an etcd. */
  get serverFlags(): string[] {
    const { certFile, keyFile } = this.#server;
    return [
      `--cert-file=${certFile}`,
      `--key-file=${keyFile}`,
      `--trusted-ca-file=${this.#authority.caFile}`,
      '--client-cert-auth',
    ];
  }

  /** Of a client that is `user`. */
  client(user: string): CertificateFiles & { readonly caFile: string } {
    const files = this.#clients.get(user) ?? this.#authority.issue({ name: user });
    this.#clients.set(user, files);
    return { ...files, caFile: this.#authority.caFile };
  }

  /** For the client that sets up the users. */
  get authority() {
    return this.#authority;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#directory.remove();
  }
}

/** Users `root`, `admin-CLUSTER`, `local-CLUSTER` and `remote` with their roles, and authentication. */
export async function enableUsers(endpoint: string, { authority }: Credentials, cluster: string): Promise<void> {
  // The package sends the host as the server name, which must not be an address.
  const root = etcd3Client(endpoint.replace('127.0.0.1', 'localhost'), { authority, user: 'root' });
  try {
    await setUpUsers(root, cluster);
  } finally {
    root.close();
  }
}
