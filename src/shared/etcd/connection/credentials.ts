/**
 * The TLS files of a configuration, as credentials for handshakes.
 *
 * Files are replaced while the program runs, one after the other. Files that are invalid (half-written, a
 * key that does not match) leave the current credentials in use and are logged once; the next change is
 * tried again. Key material is never logged.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { asError } from '../../errors.ts';
import { readBoundedFile } from '../../files/bounded-file.ts';
import { fileVersion } from '../../files/file-version.ts';
import { MAX_PEM_FILE_BYTES } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import type { Peer } from '../../tls/peer.ts';
import { certificateBlocks } from '../../tls/pem.ts';
import { Trust } from '../../tls/trust.ts';
import type { EtcdConfig } from '../config.ts';
import { CredentialsError } from '../errors.ts';
import type { EtcdObserver } from '../observer.ts';

interface Files {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export class Credentials {
  readonly #config: EtcdConfig;
  readonly #log: Logger;
  readonly #observer: Pick<EtcdObserver, 'certificates' | 'serverCertificate'> | undefined;
  #trust: Trust | undefined;
  /** Of the content that `#trust` was made of. */
  #digest: string | undefined;
  /** Of the files before they were read with that content; undefined where one of them may have changed since. */
  #versions: string | undefined;
  /** What was logged last about files that cannot be used. */
  #refused: string | undefined;
  #reading: Promise<boolean> | undefined;
  /** Servers whose certificates have no name but the common one, as far as they were logged. */
  readonly #legacy = new Set<string>();

  /** `observer` is called when the files in use change. */
  constructor(config: EtcdConfig, log: Logger, observer?: Pick<EtcdObserver, 'certificates' | 'serverCertificate'>) {
    this.#config = config;
    this.#log = log;
    this.#observer = observer;
  }

  /** Whether `load` has succeeded. */
  get isLoaded(): boolean {
    return this.#trust !== undefined;
  }

  /** Of the files as they were when they could be used last. Rejects with CredentialsError where they never could. */
  async load(): Promise<Trust> {
    if (this.#trust === undefined) await this.#readOnce();
    return this.#trust as Trust;
  }

  /** Reads the files again where they may have changed. True if later handshakes differ from earlier ones. Never rejects. */
  async refresh(): Promise<boolean> {
    const isFirst = this.#trust === undefined;
    try {
      const hasChanged = await this.#readOnce();
      if (hasChanged) this.#log.info(isFirst ? 'TLS files loaded' : 'TLS files changed; reconnecting');
      this.#refused = undefined;
      return hasChanged;
    } catch (thrown) {
      const { message } = asError(thrown);
      // Files that were never valid are reported by the call that needs them.
      if (message !== this.#refused && !isFirst) {
        this.#log.error(
          { code: 'ETCD_CREDENTIALS', reason: message },
          'cannot load the changed TLS files; keeping the previous ones',
        );
      }
      this.#refused = message;
      return false;
    }
  }

  /** A server was verified with these credentials. */
  verified({ certificates: [leaf] }: Peer): void {
    if (leaf !== undefined) this.#observer?.serverCertificate?.(leaf.notAfterMs);
  }

  /** Logged once per server until the files change. */
  warnOfLegacyName(host: string): void {
    if (this.#legacy.has(host)) return;
    this.#legacy.add(host);
    this.#log.warn(
      { host },
      'server certificate has its name only in the common name, which Go clients reject; issue it with a subject alternative name',
    );
  }

  /** One reading at a time; calls in between share its outcome. */
  #readOnce(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<boolean> {
    const { caFile, certFile, keyFile } = this.#config;
    const versions = await versionsOf([caFile, certFile, keyFile]);
    if (versions !== undefined && versions === this.#versions) return false;
    this.#versions = undefined;
    const files: Files = {
      ca: await read('trusted-ca-file', caFile),
      cert: await read('cert-file', certFile),
      key: await read('key-file', keyFile),
    };
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    if (digest === this.#digest) {
      this.#versions = versions;
      return false;
    }
    this.#trust = this.#trustOf(files);
    this.#digest = digest;
    this.#versions = versions;
    this.#legacy.clear();
    this.#observer?.certificates(this.#expiriesOf(files));
    return true;
  }

  #expiriesOf({ ca, cert }: Files): ReadonlyMap<string, number> {
    const { caFile, certFile } = this.#config;
    const contents = [
      [caFile, ca],
      [certFile, cert],
    ] as const;
    const expiries = new Map<string, number>();
    for (const [file, content] of contents) {
      const expiryMs = content === undefined ? Number.POSITIVE_INFINITY : firstExpiryMs(content);
      if (file !== undefined && Number.isFinite(expiryMs)) expiries.set(file, expiryMs);
    }
    return expiries;
  }

  #trustOf(files: Files): Trust {
    try {
      return new Trust(files);
    } catch (thrown) {
      const { caFile, certFile, keyFile } = this.#config;
      const names = [caFile, certFile, keyFile].filter((name) => name !== undefined).join(', ');
      throw new CredentialsError(`cannot load the TLS files ${names}: ${asError(thrown).message}; write all of them again`);
    }
  }
}

/**
 * Of the certificates in a PEM file that OpenSSL has taken; infinite where none has a time. It takes one with the month 13, too, and
 * never trusts it.
 */
function firstExpiryMs(pem: string): number {
  const times = certificateBlocks(pem).map((certificate) => new X509Certificate(certificate).validToDate.getTime());
  return Math.min(...times.filter((ms) => !Number.isNaN(ms)));
}

/** Undefined where one of them has none. */
async function versionsOf(files: readonly (string | undefined)[]): Promise<string | undefined> {
  const versions: string[] = [];
  for (const file of files) {
    const version = file === undefined ? '' : await fileVersion(file);
    if (version === undefined) return undefined;
    versions.push(version);
  }
  return versions.join(' ');
}

async function read(key: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    const content = (await readBoundedFile(file, MAX_PEM_FILE_BYTES)).toString('utf8');
    if (!content.includes('-----BEGIN ')) throw new Error(`${file}: not a PEM file`);
    return content;
  } catch (thrown) {
    throw new CredentialsError(`${key} ${asError(thrown).message}`);
  }
}
