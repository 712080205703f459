/**
 * The TLS files of a configuration, as a context for handshakes.
 *
 * Files are replaced under a running program, one after the other. What cannot be used (half-written, a
 * key that does not match) leaves the credentials in use as they are and is logged once; the next
 * change is tried again. Key material is never logged.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { asError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { EtcdConfig } from './config.ts';
import { CredentialsError } from './errors.ts';
import type { EtcdObserver } from './observer.ts';

interface Files {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

export class Credentials {
  readonly #config: EtcdConfig;
  readonly #log: Logger;
  readonly #observer: Pick<EtcdObserver, 'certificates'> | undefined;
  #context: SecureContext | undefined;
  /** Of the content that `#context` was made of. */
  #digest: string | undefined;
  /** What was logged last about files that cannot be used. */
  #refused: string | undefined;

  /** `observer` is told whenever other files are used than before. */
  constructor(config: EtcdConfig, log: Logger, observer?: Pick<EtcdObserver, 'certificates'>) {
    this.#config = config;
    this.#log = log;
    this.#observer = observer;
  }

  /** Of the files as they were when they could be used last. Throws CredentialsError where they never could. */
  load(): SecureContext {
    if (this.#context === undefined) this.#read();
    return this.#context as SecureContext;
  }

  /** Looks at the files again. True where handshakes from now on differ from those before. */
  refresh(): boolean {
    const isFirst = this.#context === undefined;
    try {
      const hasChanged = this.#read();
      if (hasChanged) this.#log.info(isFirst ? 'TLS files can be used now' : 'TLS files changed; connections are renewed');
      this.#refused = undefined;
      return hasChanged;
    } catch (thrown) {
      const { message } = asError(thrown);
      // Whoever needs the first ones reports what is wrong with them.
      if (message !== this.#refused && !isFirst) {
        this.#log.error(
          { code: 'ETCD_CREDENTIALS', reason: message },
          'changed TLS files cannot be used; the old ones stay in use',
        );
      }
      this.#refused = message;
      return false;
    }
  }

  #read(): boolean {
    const { caFile, certFile, keyFile } = this.#config;
    const files: Files = {
      ca: read('trusted-ca-file', caFile),
      cert: read('cert-file', certFile),
      key: read('key-file', keyFile),
    };
    const digest = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    if (digest === this.#digest) return false;
    this.#context = this.#contextOf(files);
    this.#digest = digest;
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
      if (file !== undefined && content !== undefined) expiries.set(file, firstExpiryMs(content));
    }
    return expiries;
  }

  #contextOf({ ca, cert, key }: Files): SecureContext {
    try {
      return createSecureContext({
        ca: ca ?? getCACertificates('system'),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
        minVersion: 'TLSv1.2',
      });
    } catch (thrown) {
      const { caFile, certFile, keyFile } = this.#config;
      const names = [caFile, certFile, keyFile].filter((name) => name !== undefined).join(', ');
      throw new CredentialsError(`TLS files ${names} cannot be used: ${asError(thrown).message}; write all of them anew`);
    }
  }
}

/** Of the certificates in a PEM file that OpenSSL has taken. */
function firstExpiryMs(pem: string): number {
  const certificates = pem.match(/-----BEGIN (TRUSTED )?CERTIFICATE-----[^-]+-----END (TRUSTED )?CERTIFICATE-----/g) ?? [];
  return Math.min(...certificates.map((certificate) => new X509Certificate(certificate).validToDate.getTime()));
}

function read(key: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    const content = readFileSync(file, 'utf8');
    // OpenSSL takes a file without any certificate for an empty list of authorities.
    if (!content.includes('-----BEGIN ')) throw new Error('no PEM in it');
    return content;
  } catch (thrown) {
    throw new CredentialsError(`${key} ${file} cannot be read: ${asError(thrown).message}`);
  }
}
