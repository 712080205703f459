/** Certificates of any shape, made with the `openssl` command: what CAs of meshes look like after years. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { temporaryDirectory } from '../temporary-directory.ts';

export interface Issued {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface IssueRequest {
  readonly name: string;
  /** Signs itself where absent. */
  readonly issuer?: Issued;
  /** Lines of an extension section. */
  readonly extensions: readonly string[];
  /** Of another certificate, which is thereby renewed. */
  readonly key?: string;
  /** Negative for one that has expired. */
  readonly days?: number;
}

/** Without key identifiers. */
export const BARE = ['subjectKeyIdentifier=none', 'authorityKeyIdentifier=none'];
/** With key identifiers. */
export const IDENTIFIED = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid'];
export const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
export const HOST = 'etcd.east.example.test';
export const SERVER = ['basicConstraints=CA:FALSE', 'extendedKeyUsage=serverAuth', `subjectAltName=DNS:${HOST},IP:127.0.0.1`];

export class Pki implements Disposable {
  readonly directory = temporaryDirectory('pki');
  #count = 0;

  issue({ name, issuer, extensions, key, days = 2 }: IssueRequest): Issued {
    this.#count += 1;
    const file = (kind: string) => join(this.directory, `${this.#count}.${kind}`);
    const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
    if (key === undefined) run('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', file('key'));
    else writeFileSync(file('key'), key);
    writeFileSync(file('cnf'), `[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=${name}\n[own]\n${extensions.join('\n')}\n`);
    run('req', '-new', '-key', file('key'), '-config', file('cnf'), '-out', file('csr'));
    const request = ['-in', file('csr'), '-days', String(days)];
    const signing = [...request, '-extfile', file('cnf'), '-extensions', 'own', '-out', file('crt')];
    if (issuer === undefined) {
      run('x509', '-req', '-signkey', file('key'), ...signing);
    } else {
      writeFileSync(file('ca.crt'), issuer.cert);
      writeFileSync(file('ca.key'), issuer.key);
      const serial = String(Date.now() * 1_000 + this.#count);
      run('x509', '-req', '-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-set_serial', serial, ...signing);
    }
    return { cert: readFileSync(file('crt'), 'utf8'), key: readFileSync(file('key'), 'utf8') };
  }

  authority(name: string, more: readonly string[], issuer?: Issued): Issued {
    return this.issue({ name, extensions: [...CA, ...more], ...(issuer === undefined ? {} : { issuer }) });
  }

  server(issuer: Issued, more: readonly string[]): Issued {
    return this.issue({ name: 'etcd', issuer, extensions: [...SERVER, ...more] });
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

/** One authority, whose certificates are valid for a name and for 127.0.0.1. */
export class CertificateAuthority {
  readonly #pki = new Pki();
  readonly #self = this.#pki.authority('test-ca', []);

  /** Its own certificate, PEM. */
  get cert(): string {
    return this.#self.cert;
  }

  sign(name: string): Issued {
    return this.#pki.issue({ name, issuer: this.#self, extensions: [`subjectAltName=DNS:${name},IP:127.0.0.1`] });
  }
}

/** What a server that shows `chain` with the key of `leaf` is called with. */
export async function withServer<T>(
  chain: readonly Issued[],
  use: (port: number, serverNames: readonly (string | false)[]) => Promise<T>,
): Promise<T> {
  const names: (string | false)[] = [];
  const server = createServer({ cert: chain.map(({ cert }) => cert).join(''), key: chain[0]?.key ?? '' }, (socket) => {
    names.push((socket as unknown as { servername: string | false }).servername);
    socket.on('error', () => undefined);
    socket.end();
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  try {
    return await use(typeof address === 'object' && address !== null ? address.port : 0, names);
  } finally {
    server.close();
  }
}

export function dial(port: number) {
  return connect(port, '127.0.0.1');
}
