/**
 * The content of a certificate, in the formats of Go programs: names, hexadecimal numbers, times.
 */
import { X509Certificate } from 'node:crypto';
import { asError, ProgramError } from '../errors.ts';
import { MAX_CERTIFICATES_PER_FILE } from '../limits.ts';
import { addressKey } from './address.ts';
import {
  contentOf,
  context,
  type DerElement,
  elementsOf,
  INTEGER,
  inside,
  OBJECT_IDENTIFIER,
  OCTET_STRING,
  objectIdentifier,
  SEQUENCE,
} from './der.ts';
import { commonName, distinguishedName } from './distinguished-name.ts';
import { certificateBlocks } from './pem.ts';

/** Bytes that are no certificate. */
export class CertificateError extends ProgramError {
  readonly code = 'CERTIFICATE_MALFORMED';
  readonly retriable = false;
}

export interface Certificate {
  readonly x509: X509Certificate;
  /** Colon-separated hexadecimal, as the key IDs. */
  readonly serialNumber: string;
  readonly subject: string;
  readonly issuer: string;
  /** Of the subject. */
  readonly commonName: string | undefined;
  /** Names and addresses, in the order of the certificate. */
  readonly alternativeNames: readonly string[];
  /** Of the alternative names. */
  readonly dnsNames: readonly string[];
  /** Of the alternative names, as `addressKey` writes them. */
  readonly addresses: readonly string[];
  readonly hasAlternativeNames: boolean;
  readonly subjectKeyId: string | undefined;
  readonly authorityKeyId: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** DER, to compare: texts of different encodings look alike. */
  readonly rawSubject: Buffer;
  readonly rawIssuer: Buffer;
  /** Object identifier of the algorithm it was signed with. */
  readonly signatureAlgorithm: string;
  /** By object identifier. */
  readonly extensions: ReadonlyMap<string, Extension>;
}

export interface Extension {
  readonly isCritical: boolean;
  /** DER. */
  readonly value: Buffer;
}

const SUBJECT_KEY_ID = '2.5.29.14';
const ALTERNATIVE_NAMES = '2.5.29.17';
const AUTHORITY_KEY_ID = '2.5.29.35';

/** Throws CertificateError. */
export function certificateOf(source: X509Certificate | Buffer): Certificate {
  try {
    const x509 = source instanceof X509Certificate ? source : new X509Certificate(source);
    const [body, algorithm] = inside(elementsOf(x509.raw)[0], SEQUENCE);
    const fields = inside(body, SEQUENCE);
    const [serial, , issuer, , subject] = fields[0]?.tag === context(0) ? fields.slice(1) : fields;
    const extensions = extensionsOf(fields);
    const subjectKey = extensions.get(SUBJECT_KEY_ID)?.value;
    const authorityKey = extensions.get(AUTHORITY_KEY_ID)?.value;
    const names = alternativeNames(extensions.get(ALTERNATIVE_NAMES)?.value);
    return {
      x509,
      serialNumber: colonHex(magnitude(contentOf(serial, INTEGER))),
      subject: distinguishedName(subject),
      issuer: distinguishedName(issuer),
      commonName: commonName(subject),
      alternativeNames: names.map(({ text }) => text),
      dnsNames: names.flatMap(({ tag, text }) => (tag === DNS_NAME ? [text] : [])),
      addresses: names.flatMap(({ tag, text }) => (tag === IP_ADDRESS ? [addressKey(text)] : [])),
      hasAlternativeNames: extensions.has(ALTERNATIVE_NAMES),
      subjectKeyId: subjectKey && colonHex(contentOf(elementsOf(subjectKey)[0], OCTET_STRING)),
      authorityKeyId: authorityKey && keyIdOf(authorityKey),
      notBeforeMs: timeOf(x509.validFromDate, 'notBefore'),
      notAfterMs: timeOf(x509.validToDate, 'notAfter'),
      rawSubject: contentOf(subject, SEQUENCE),
      rawIssuer: contentOf(issuer, SEQUENCE),
      signatureAlgorithm: objectIdentifier(contentOf(inside(algorithm, SEQUENCE)[0], OBJECT_IDENTIFIER)),
      extensions,
    };
  } catch (thrown) {
    throw new CertificateError(`not a certificate: ${asError(thrown).message}`, { cause: thrown });
  }
}

/** Every certificate of a PEM file with any content. Throws CertificateError, also if there is none. */
export function certificatesOf(pem: string): readonly Certificate[] {
  const blocks = certificateBlocks(pem);
  if (blocks.length === 0) throw new CertificateError('no certificate found');
  if (blocks.length > MAX_CERTIFICATES_PER_FILE)
    throw new CertificateError(`more than ${MAX_CERTIFICATES_PER_FILE} certificates`);
  return blocks.map((block) => certificateOf(Buffer.from(block)));
}

/** OpenSSL reads a certificate with the month 13; Go's parser refuses it. */
function timeOf(date: Date, field: string): number {
  const ms = date.getTime();
  if (Number.isNaN(ms)) throw new CertificateError(`${field} is not a time`);
  return ms;
}

/** `2026-01-01 00:00:00 +0000 UTC` */
export function goTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

function extensionsOf(fields: readonly DerElement[]): ReadonlyMap<string, Extension> {
  const last = fields.at(-1);
  if (last?.tag !== context(3)) return new Map();
  const [list] = elementsOf(last.content);
  return new Map(
    inside(list, SEQUENCE).map((extension) => {
      const parts = inside(extension, SEQUENCE);
      const value = contentOf(parts.at(-1), OCTET_STRING);
      // The flag is left out where it is false.
      return [objectIdentifier(contentOf(parts[0], OBJECT_IDENTIFIER)), { isCritical: parts.length > 2, value }];
    }),
  );
}

/** The key ID of an authority may be missing: an issuer and a serial number can take its place. */
function keyIdOf(extension: Buffer): string | undefined {
  const keyId = inside(elementsOf(extension)[0], SEQUENCE).find(({ tag }) => tag === 0x80);
  return keyId && colonHex(keyId.content);
}

const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const URI = 0x86;
const EMAIL = 0x81;

interface AlternativeName {
  readonly tag: number;
  readonly text: string;
}

function alternativeNames(extension: Buffer | undefined): readonly AlternativeName[] {
  if (extension === undefined) return [];
  return inside(elementsOf(extension)[0], SEQUENCE).flatMap(({ tag, content }) => {
    if (tag === DNS_NAME || tag === EMAIL || tag === URI) return [{ tag, text: content.toString('utf8') }];
    return tag === IP_ADDRESS ? [{ tag, text: addressText(content) }] : [];
  });
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return colonHex(bytes);
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

/** A positive number has a zero in front where its first bit is set. */
function magnitude(content: Buffer): Buffer {
  return content.length > 1 && content[0] === 0 ? content.subarray(1) : content;
}

function colonHex(bytes: Buffer): string {
  return bytes.toString('hex').replaceAll(/..(?=.)/g, '$&:');
}
