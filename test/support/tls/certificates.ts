/**
 * Certificate authorities for tests, made with the `openssl` command.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../temporary-directory.ts';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateRequest {
  /** The common name: etcd takes that of a client for the user's name. */
  readonly name: string;
  /** `DNS:…` and `IP:…`. */
  readonly alternatives?: readonly string[];
  /** As OpenSSL names them; for servers and clients by default. */
  readonly usages?: string;
  /** Two by default. */
  readonly days?: number;
}

export interface Authority {
  readonly caFile: string;
  issue(request: CertificateRequest): CertificateFiles;
  /** One that was valid for a day, years ago. */
  issueExpired(request: CertificateRequest): CertificateFiles;
  /** One that will be valid in many years. */
  issueEarly(request: CertificateRequest): CertificateFiles;
}

/** True where certificates can be made. */
export function canMakeCertificates(): boolean {
  try {
    // Issuing in one step came with version 3.
    return /^OpenSSL ([3-9]|\d\d)/.test(execFileSync('openssl', ['version'], { encoding: 'utf8', stdio: 'pipe' }));
  } catch {
    return false;
  }
}

/** Why no certificates can be made here; undefined where they can. */
export function opensslMissing(): string | undefined {
  return canMakeCertificates() ? undefined : 'no openssl 3';
}

/** A directory that `remove` removes, in which any number of authorities can be made. */
export class CertificateDirectory {
  readonly path = temporaryDirectory('certificates');
  #serial = 0;

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  authority(name: string, days?: number): Authority {
    const directory = this.#subdirectory();
    const ca = { certFile: join(directory, 'ca.crt'), keyFile: join(directory, 'ca.key') };
    const dated = (request: CertificateRequest, dates: Dates) => {
      const inside = this.#subdirectory();
      const files = this.#pairIn(inside);
      makeDated(inside, ca, files, request, dates);
      return files;
    };
    makeCertificate(ca, { name, ...(days === undefined ? {} : { days }) }, [
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign',
    ]);
    return {
      caFile: ca.certFile,
      issue: (request) => {
        const files = this.#pairIn(this.#subdirectory());
        const issuer = ['-CA', ca.certFile, '-CAkey', ca.keyFile];
        makeCertificate(files, request, [...issuer, '-addext', `extendedKeyUsage=${request.usages ?? BOTH_USAGES}`]);
        return files;
      },
      issueExpired: (request) => dated(request, { start: '20200101000000Z', end: '20200102000000Z' }),
      issueEarly: (request) => dated(request, { start: '20480101000000Z', end: '20480102000000Z' }),
    };
  }

  /** Copies `files` to a place where the test may exchange them. */
  place(files: CertificateFiles): CertificateFiles {
    const placed = this.#pairIn(this.#subdirectory());
    replaceFiles(placed, files);
    return placed;
  }

  #pairIn(directory: string): CertificateFiles {
    return { certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
  }

  #subdirectory(): string {
    this.#serial += 1;
    const directory = join(this.path, String(this.#serial));
    mkdirSync(directory);
    return directory;
  }
}

/** Puts the content of `files` in the place of `placed`. */
export function replaceFiles(placed: CertificateFiles, files: CertificateFiles): void {
  copyFileSync(files.certFile, placed.certFile);
  copyFileSync(files.keyFile, placed.keyFile);
}

const BOTH_USAGES = 'serverAuth,clientAuth';

const newKey = (file: string) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', file];

function makeCertificate(
  files: CertificateFiles,
  { name, alternatives = [], days = 2 }: CertificateRequest,
  more: readonly string[],
): void {
  const names = alternatives.length === 0 ? [] : ['-addext', `subjectAltName=${alternatives.join(',')}`];
  const key = newKey(files.keyFile);
  const request = [
    'req',
    '-x509',
    '-days',
    String(days),
    '-subj',
    `/CN=${name}`,
    ...key,
    '-out',
    files.certFile,
    ...names,
    ...more,
  ];
  execFileSync('openssl', request, { stdio: 'pipe' });
}

interface Dates {
  readonly start: string;
  readonly end: string;
}

/** Only the command that keeps a register of what it issued takes dates of the past. */
function makeDated(
  directory: string,
  ca: CertificateFiles,
  files: CertificateFiles,
  { name, alternatives = [], usages = BOTH_USAGES }: CertificateRequest,
  { start, end }: Dates,
): void {
  const file = (own: string) => join(directory, own);
  writeFileSync(file('register'), '');
  writeFileSync(
    file('ca.cnf'),
    [
      '[ca]\ndefault_ca = own\n[own]',
      `database = ${file('register')}\nnew_certs_dir = ${directory}\nrand_serial = yes\ndefault_md = sha256\npolicy = any`,
      '[any]\ncommonName = supplied\n[extensions]',
      `extendedKeyUsage = ${usages}`,
      ...(alternatives.length === 0 ? [] : [`subjectAltName = ${alternatives.join(',')}`]),
    ].join('\n'),
  );
  const run = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  run('req', '-new', '-subj', `/CN=${name}`, ...newKey(files.keyFile), '-out', file('request'));
  const dates = ['-startdate', start, '-enddate', end];
  const authority = ['-config', file('ca.cnf'), '-cert', ca.certFile, '-keyfile', ca.keyFile, '-extensions', 'extensions'];
  run('ca', '-batch', '-notext', ...authority, ...dates, '-in', file('request'), '-out', files.certFile);
}
