/**
 * A certificate authority for tests and what it signs, by way of the `openssl` program.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Why no certificate can be made here; undefined where one can. */
export function opensslMissing(): string | undefined {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'no openssl in the PATH';
  }
}

export class CertificateAuthority implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'test-ca-'));
  #signed = 0;

  constructor() {
    this.#run('req', '-x509', ...newKey('ca'), '-subj', '/CN=test-ca', '-days', '1', '-out', 'ca.crt');
  }

  /** Its own certificate, PEM. */
  get cert(): string {
    return this.#read('ca.crt');
  }

  /** A certificate for `name`, valid for 127.0.0.1 too. */
  sign(name: string): KeyPair {
    this.#signed += 1;
    const file = `c${this.#signed}`;
    writeFileSync(join(this.#directory, 'ext'), `subjectAltName=DNS:${name},IP:127.0.0.1\n`);
    this.#run('req', ...newKey(file), '-subj', `/CN=${name}`, '-out', `${file}.csr`);
    const authority = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    this.#run('x509', '-req', '-in', `${file}.csr`, ...authority, '-days', '1', '-extfile', 'ext', '-out', `${file}.crt`);
    return { cert: this.#read(`${file}.crt`), key: this.#read(`${file}.key`) };
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true });
  }

  #run(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#directory, stdio: 'ignore' });
  }

  #read(file: string): string {
    return readFileSync(join(this.#directory, file), 'utf8');
  }
}

function newKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${file}.key`];
}
