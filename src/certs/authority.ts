/**
 * The CA Secret: the CA that signs, and during a rotation the next or the previous one.
 *
 * `ca.crt` and `ca.key` are the keys of Cilium's chart and certgen, and always hold the CA that signs. The rotation keeps its
 * state in further keys of the same Secret: each step is a single write, and a copy of the Secret carries the rotation to
 * other clusters that share the CA.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { asError } from '../shared/errors.ts';
import type { SecretData, StoredSecret } from '../shared/kubernetes/secrets.ts';
import { type Certificate, certificatesOf } from '../shared/tls/certificate.ts';
import { CaSecretError } from './errors.ts';
import { issueAuthority, type Signer, type Validity } from './issue.ts';

export const CA_KEYS = {
  certificate: 'ca.crt',
  key: 'ca.key',
  nextCertificate: 'ca-next.crt',
  nextKey: 'ca-next.key',
  previousCertificate: 'ca-previous.crt',
} as const;

export interface Authority extends Signer {
  /** From the signer up to its anchor, without the anchor; appended to each issued certificate. */
  readonly intermediates: readonly Certificate[];
  /** What peers must trust. */
  readonly anchors: readonly Certificate[];
}

/** `prepared`: the next CA is trusted but does not sign. `switched`: the new CA signs, and the previous one is still trusted. */
export type RotationState = 'none' | 'prepared' | 'switched';

export interface CaContent {
  readonly rotation: RotationState;
  readonly current: Authority;
  readonly next: Authority | undefined;
  readonly previous: readonly Certificate[];
}

/** The content of a CA Secret. Throws CaSecretError. */
export function caContentOf({ fullName, data }: Pick<StoredSecret, 'fullName' | 'data'>): CaContent {
  const { certificate, key, nextCertificate, nextKey, previousCertificate } = CA_KEYS;
  // cert-manager stores a CA under these names.
  const isOther = data[key] === undefined && data['tls.key'] !== undefined;
  const current = authorityOf(fullName, data, isOther ? 'tls.crt' : certificate, isOther ? 'tls.key' : key);
  const next = data[nextCertificate] === undefined ? undefined : authorityOf(fullName, data, nextCertificate, nextKey);
  const previous = data[previousCertificate] === undefined ? [] : anchorsOf(fullName, data, previousCertificate);
  const rotation = next !== undefined ? 'prepared' : previous.length > 0 ? 'switched' : 'none';
  return { rotation, current, next, previous };
}

/** All CAs that the certificate Secrets must trust; the CA that signs comes first. */
export function bundleOf(content: CaContent, extra: readonly Certificate[]): readonly Certificate[] {
  const all = [...content.current.anchors, ...(content.next?.anchors ?? []), ...content.previous, ...extra];
  return all.filter((each, index) => all.findIndex((other) => isSame(each, other)) === index);
}

export function isSame(one: Certificate, other: Certificate): boolean {
  return one.x509.raw.equals(other.x509.raw);
}

/** PEM. */
export function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ x509 }) => x509.toString()).join('');
}

/** `CN=Cilium CA (key 1f:2e:…)`: the CAs of a mesh often have the same name. */
export function caName({ subject, subjectKeyId, x509 }: Certificate): string {
  const id = subjectKeyId === undefined ? `fingerprint ${x509.fingerprint256}` : `key ${subjectKeyId}`;
  return `${subject} (${id.slice(0, 31)}${id.length > 31 ? '…' : ''})`;
}

/** A new CA, stored under the two given keys of the Secret. */
export function newAuthority(
  request: Validity & { readonly commonName: string },
  [certificateKey, keyKey]: readonly [string, string],
): SecretData {
  const { certificate, key } = issueAuthority(request);
  return { [certificateKey]: certificate, [keyKey]: key };
}

/** The file may hold a chain or a bundle; the signer is the certificate that matches the key. */
function authorityOf(fullName: string, data: SecretData, certificateKey: string, keyKey: string): Authority {
  const certificates = readCertificates(fullName, data, certificateKey);
  const key = readKey(fullName, data, keyKey);
  const certificate = certificates.find(({ x509 }) => x509.checkPrivateKey(key));
  if (certificate === undefined)
    throw unusable(
      fullName,
      `${keyKey} does not match any certificate in ${certificateKey}; store certificate and key of the same CA`,
    );
  if (!certificate.x509.ca)
    throw unusable(fullName, `${certificateKey} is not a CA certificate; store a certificate with CA:TRUE`);
  const others = certificates.filter((each) => each !== certificate);
  return { certificate, key, ...trustOf(certificate, others) };
}

/** Where the chain has no self-signed root, its last certificate is the anchor, as in Cilium's certgen. */
function trustOf(signer: Certificate, others: readonly Certificate[]): Pick<Authority, 'intermediates' | 'anchors'> {
  const way = [signer];
  for (let left = others.length; left >= 0; left -= 1) {
    const last = way.at(-1) ?? signer;
    const issuer = isSelfSigned(last) ? undefined : others.find((each) => !way.includes(each) && hasIssued(each, last));
    if (issuer === undefined) break;
    way.push(issuer);
  }
  const top = way.at(-1) ?? signer;
  const anchors = [top, ...others.filter((each) => each !== top && isSelfSigned(each))];
  return { intermediates: way.slice(0, -1), anchors };
}

function anchorsOf(fullName: string, data: SecretData, key: string): readonly Certificate[] {
  return readCertificates(fullName, data, key);
}

function isSelfSigned(certificate: Certificate): boolean {
  return hasIssued(certificate, certificate);
}

function hasIssued(issuer: Certificate, certificate: Certificate): boolean {
  try {
    return certificate.rawIssuer.equals(issuer.rawSubject) && certificate.x509.verify(issuer.x509.publicKey);
  } catch {
    // A key that OpenSSL does not take.
    return false;
  }
}

function readCertificates(fullName: string, data: SecretData, key: string): readonly Certificate[] {
  const text = data[key];
  if (text === undefined || text.trim() === '') throw unusable(fullName, `${key} is missing; store the CA certificate there`);
  try {
    return certificatesOf(text);
  } catch (thrown) {
    throw unusable(fullName, `${key}: ${asError(thrown).message}; store the CA certificate there in PEM`);
  }
}

/** The parser's message is dropped: it may quote its input. */
function readKey(fullName: string, data: SecretData, key: string): KeyObject {
  const text = data[key];
  if (text === undefined || text.trim() === '') throw unusable(fullName, `${key} is missing; store the CA key there`);
  try {
    return createPrivateKey(text);
  } catch {
    throw unusable(fullName, `${key} is not an unencrypted private key; store the CA key there in PEM`);
  }
}

function unusable(fullName: string, problem: string): CaSecretError {
  return new CaSecretError(`Secret ${fullName}: ${problem}`);
}
