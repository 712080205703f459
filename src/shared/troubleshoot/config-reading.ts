/**
 * The file of one etcd, and the files that it names.
 *
 * What is wrong with them ends the report in one of two places, as in the original: nothing can be read of the file, or it
 * can be read and not be used.
 */
import { createPrivateKey } from 'node:crypto';
import { getCACertificates } from 'node:tls';
import type { PodCheckId } from '../diagnosis/pod-checks.ts';
import { asError } from '../errors.ts';
import { FileReadError, readBoundedFile } from '../files/bounded-file.ts';
import { parseYaml } from '../files/yaml-file.ts';
import { MAX_ETCD_CONFIG_BYTES, MAX_PEM_FILE_BYTES } from '../limits.ts';
import { type Certificate, certificatesOf } from '../tls/certificate.ts';
import { chainOf } from '../tls/chain.ts';
import type { CheckedConfig, ClientCertificates, ConfigFindings, TrustedCertificates } from './findings.ts';
import { fileFailure, MISTRUST_TEXT } from './go-errors.ts';

/** Parses the content of a file, whose name is for messages; throws where it cannot be used. */
export type ConfigParser = (text: string, file: string) => CheckedConfig;

/** The part of the file that is not etcd's own. */
const ALIASES = 'cilium-host-aliases';

/** For a parser that requires one. */
const ANY_ENDPOINT = { endpoints: ['https://none:2379'] };

/** Something that ends the report below the path, and what to do about it. */
class Unusable extends Error {
  readonly check: PodCheckId;
  readonly remedy: string;

  constructor(check: PodCheckId, text: string, remedy: string) {
    super(text);
    this.check = check;
    this.remedy = remedy;
  }
}

/** Never rejects. `nowMs` is the wall clock. */
export async function readConfig(path: string, parseConfig: ConfigParser): Promise<ConfigFindings> {
  try {
    const text = await readText(path, MAX_ETCD_CONFIG_BYTES, 'mount the file, or set another path', 'config-file');
    const shape = shapeOf(text, path);
    if (shape === undefined)
      return { kind: 'unparsable', text: messageOf(() => parseConfig(text, path)) ?? 'not a map of keys and values' };
    const aliases = messageOf(() => parseConfig(jsonOf({ [ALIASES]: shape[ALIASES], ...ANY_ENDPOINT }), path));
    // The message about the whole file has the right line.
    if (aliases !== undefined) return { kind: 'unparsable', text: messageOf(() => parseConfig(text, path)) ?? aliases };
    const config = parsed(shape, text, path, parseConfig);
    const authorities = await readAuthorities(config.caFile);
    return { kind: 'usable', config, authorities, client: await readClient(config, authorities) };
  } catch (thrown) {
    const { check, remedy } =
      thrown instanceof Unusable ? thrown : ({ check: 'config-file', remedy: 'correct the file' } as const);
    return { kind: 'unusable', check, text: asError(thrown).message, remedy };
  }
}

/** The members of the file; undefined where it is no YAML or has none. */
function shapeOf(text: string, path: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const { content } = parseYaml(text, path, MAX_ETCD_CONFIG_BYTES, { isGoYaml: true });
    return typeof content === 'object' && content !== null && !Array.isArray(content)
      ? (content as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** The client rejects a file without endpoints; it is checked here anyway. */
function parsed(shape: Readonly<Record<string, unknown>>, text: string, path: string, parseConfig: ConfigParser): CheckedConfig {
  const isEmpty = ([key, value]: readonly [string, unknown]) =>
    key.toLowerCase() === 'endpoints' && (value === undefined || value === null || (Array.isArray(value) && value.length === 0));
  const members = Object.entries(shape);
  const others = members.filter((member) => !isEmpty(member));
  if (others.some(([key]) => key.toLowerCase() === 'endpoints')) return parseConfig(text, path);
  return { ...parseConfig(jsonOf({ ...Object.fromEntries(others), ...ANY_ENDPOINT }), path), endpoints: [] };
}

/** JSON is YAML too. */
function jsonOf(content: object): string {
  return JSON.stringify(content, (_, value: unknown) => {
    if (typeof value !== 'bigint') return value;
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  });
}

function messageOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (thrown) {
    return asError(thrown).message;
  }
}

async function readAuthorities(file: string | undefined): Promise<TrustedCertificates | undefined> {
  if (file === undefined) return undefined;
  const pem = await readText(file, MAX_PEM_FILE_BYTES, 'mount the file of trusted-ca-file');
  return { pem, certificates: parsedCertificates(pem, file, 'add the CA certificate to it') };
}

async function readClient(
  config: CheckedConfig,
  authorities: TrustedCertificates | undefined,
): Promise<ClientCertificates | undefined> {
  const { certFile, keyFile } = config;
  if (certFile === undefined || keyFile === undefined) return undefined;
  const certPem = await readText(certFile, MAX_PEM_FILE_BYTES, 'mount the file of cert-file');
  const keyPem = await readText(keyFile, MAX_PEM_FILE_BYTES, 'mount the file of key-file');
  const [leaf, ...intermediates] = parsedCertificates(certPem, certFile, 'add the client certificate to it');
  if (leaf === undefined)
    throw new Unusable('certificate-file', 'no certificate found', 'add the client certificate to cert-file');
  checkKey(leaf, keyPem, keyFile);
  const roots = authorities?.certificates ?? systemAuthorities(leaf, intermediates);
  const isTrusted = chainOf(leaf, intermediates, roots) !== undefined;
  return { certPem, keyPem, chain: [leaf, ...intermediates], mistrust: isTrusted ? undefined : MISTRUST_TEXT };
}

function checkKey(leaf: Certificate, keyPem: string, keyFile: string): void {
  const remedy = `write the key that belongs to the certificate into ${keyFile}; certificate and key are replaced together`;
  let isPair: boolean;
  try {
    isPair = leaf.x509.checkPrivateKey(createPrivateKey(keyPem));
  } catch {
    // OpenSSL's message is not useful.
    throw new Unusable('certificate-key', 'tls: failed to parse private key', remedy);
  }
  if (!isPair) throw new Unusable('certificate-key', 'tls: private key does not match public key', remedy);
}

/** The system CAs that may have issued one of the certificates; there are too many to parse them all. */
function systemAuthorities(leaf: Certificate, intermediates: readonly Certificate[]): readonly Certificate[] {
  const issuers = [leaf, ...intermediates].map(({ issuer }) => issuer);
  return getCACertificates('system')
    .flatMap((pem) => {
      try {
        return certificatesOf(pem);
      } catch {
        return [];
      }
    })
    .filter(({ subject }) => issuers.includes(subject));
}

function parsedCertificates(pem: string, file: string, remedy: string): readonly Certificate[] {
  try {
    return certificatesOf(pem);
  } catch (thrown) {
    throw new Unusable('certificate-file', `${file}: ${asError(thrown).message}`, remedy);
  }
}

async function readText(path: string, maxBytes: number, remedy: string, check: PodCheckId = 'certificate-file'): Promise<string> {
  try {
    return (await readBoundedFile(path, maxBytes)).toString('utf8');
  } catch (thrown) {
    const isOfSystem = thrown instanceof FileReadError && thrown.errno !== undefined;
    throw new Unusable(check, isOfSystem ? fileFailure(path, thrown.cause).text : asError(thrown).message, remedy);
  }
}
