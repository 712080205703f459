/**
 * The Secret of the CA: the authority that signs, and, while the CA is being exchanged, the next or the previous one.
 *
 * `ca.crt` and `ca.key` are those of Cilium's chart and certgen, and always hold the authority that signs. What only the
 * rotation needs stands beside them, so that each of its steps is one write, and so that a copy of the Secret carries the
 * rotation into clusters of the same CA.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { asError } from '../shared/errors.ts';
import { type Certificate, certificatesOf } from '../shared/tls/certificate.ts';
import { CaSecretError } from './errors.ts';
import { issueAuthority, type Signer, type Validity } from './issue.ts';
import type { SecretData, StoredSecret } from './secrets.ts';

export const CA_KEYS = {
  certificate: 'ca.crt',
  key: 'ca.key',
  nextCertificate: 'ca-next.crt',
  nextKey: 'ca-next.key',
  previousCertificate: 'ca-previous.crt',
} as const;

export interface Authority extends Signer {
  /** Between the signer and its anchor; sent along with each certificate. */
  readonly intermediates: readonly Certificate[];
  /** What has to be trusted. */
  readonly anchors: readonly Certificate[];
}

/** `prepared`: the next CA is trusted, and signs nothing yet. `switched`: it signs, and the previous one is still trusted. */
export type RotationState = 'none' | 'prepared' | 'switched';

export interface CaContent {
  readonly rotation: RotationState;
  readonly current: Authority;
  readonly next: Authority | undefined;
  readonly previous: readonly Certificate[];
}

/** What a Secret of a CA says. Throws CaSecretError. */
export function caContentOf({ fullName, data }: Pick<StoredSecret, 'fullName' | 'data'>): CaContent {
  const { certificate, key, nextCertificate, nextKey, previousCertificate } = CA_KEYS;
  // Secrets of cert-manager have the other names.
  const isOther = data[key] === undefined && data['tls.key'] !== undefined;
  const current = authorityOf(fullName, data, isOther ? 'tls.crt' : certificate, isOther ? 'tls.key' : key);
  const next = data[nextCertificate] === undefined ? undefined : authorityOf(fullName, data, nextCertificate, nextKey);
  const previous = data[previousCertificate] === undefined ? [] : anchorsOf(fullName, data, previousCertificate);
  const rotation = next !== undefined ? 'prepared' : previous.length > 0 ? 'switched' : 'none';
  return { rotation, current, next, previous };
}

/** Everything that Secrets of this CA have to trust, the authority that signs first. */
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

/** `CN=Cilium CA (key 1f:2e:…)`: authorities of one mesh often share their name. */
export function caName({ subject, subjectKeyId, x509 }: Certificate): string {
  const id = subjectKeyId === undefined ? `fingerprint ${x509.fingerprint256}` : `key ${subjectKeyId}`;
  return `${subject} (${id.slice(0, 31)}${id.length > 31 ? '…' : ''})`;
}

/** A new CA, as the values of the two keys. */
export function newAuthority(
  request: Validity & { readonly commonName: string },
  [certificateKey, keyKey]: readonly [string, string],
): SecretData {
  const { certificate, key } = issueAuthority(request);
  return { [certificateKey]: certificate, [keyKey]: key };
}

/** The certificate may be followed by those that have issued it, or by other authorities; the key tells which one signs. */
function authorityOf(fullName: string, data: SecretData, certificateKey: string, keyKey: string): Authority {
  const certificates = readCertificates(fullName, data, certificateKey);
  const key = readKey(fullName, data, keyKey);
  const certificate = certificates.find(({ x509 }) => x509.checkPrivateKey(key));
  if (certificate === undefined)
    throw unusable(fullName, `${keyKey} is not the key of any certificate of ${certificateKey}; put both of one CA there`);
  if (!certificate.x509.ca) throw unusable(fullName, `${certificateKey} is not the certificate of a CA; put that of a CA there`);
  const others = certificates.filter((each) => each !== certificate);
  return { certificate, key, ...trustOf(certificate, others) };
}

/** Without any self-signed certificate the last one of the way up is the anchor, as for Cilium's certgen. */
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
  if (text === undefined || text.trim() === '')
    throw unusable(fullName, `${key} is missing; put the certificate of the CA there`);
  try {
    return certificatesOf(text);
  } catch (thrown) {
    throw unusable(fullName, `${key}: ${asError(thrown).message}; put the certificate of the CA there, in PEM`);
  }
}

/** Messages of the parser may quote what they are given. */
function readKey(fullName: string, data: SecretData, key: string): KeyObject {
  const text = data[key];
  if (text === undefined || text.trim() === '') throw unusable(fullName, `${key} is missing; put the key of the CA there`);
  try {
    return createPrivateKey(text);
  } catch {
    throw unusable(fullName, `${key} is not a private key without a passphrase; put the key of the CA there, in PEM`);
  }
}

function unusable(fullName: string, problem: string): CaSecretError {
  return new CaSecretError(`Secret ${fullName}: ${problem}`);
}
