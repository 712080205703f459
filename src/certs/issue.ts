/**
 * Issues X.509 certificates (RFC 5280) with P-256 keys, key identifiers and serial numbers of 128 random bits.
 *
 * Node generates the keys and computes the signatures; this file encodes the structure around them.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { Certificate } from '../shared/tls/certificate.ts';
import { elementsOf, inside, OCTET_STRING, SEQUENCE, SET } from '../shared/tls/der.ts';
import { CLIENT_USAGE, SERVER_USAGE } from '../shared/tls/usage.ts';
import { bitString, element, integer, objectIdentifier, sequence, time } from './der-writer.ts';
import { CaSecretError } from './errors.ts';

/** PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export interface LeafRequest extends Validity {
  /** At most 64 characters. */
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usage: Usage;
}

/** TLS authentication; `peer` as server and as client. */
export type Usage = 'server' | 'client' | 'peer';

export interface Signer {
  readonly certificate: Certificate;
  readonly key: KeyObject;
}

/** notBefore lies this far in the past, for peers whose clocks are behind. */
export const BACKDATE_MS = 5 * 60_000;

export const EXTENDED_USAGES: Readonly<Record<Usage, readonly string[]>> = {
  server: [SERVER_USAGE],
  client: [CLIENT_USAGE],
  peer: [SERVER_USAGE, CLIENT_USAGE],
};

const SUBJECT_KEY_ID = '2.5.29.14';
const KEY_USAGE = '2.5.29.15';
const ALTERNATIVE_NAMES = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const AUTHORITY_KEY_ID = '2.5.29.35';
const EXTENDED_KEY_USAGE = '2.5.29.37';

const COMMON_NAME = '2.5.4.3';
const UTF8_STRING = 0x0c;
const BOOLEAN_TRUE = element(0x01, Buffer.from([0xff]));

/** Digital signature and key encipherment, as in Cilium's certgen. TLS with an ECDSA key uses the first only. */
const LEAF_KEY_USAGE = bitString(Buffer.from([0xa0]), 5);
/** Certificate sign, CRL sign. */
const CA_KEY_USAGE = bitString(Buffer.from([0x06]), 1);

/** A self-signed CA certificate. */
export function issueAuthority({ commonName, ...validity }: Validity & { readonly commonName: string }): Issued {
  const { publicKey, privateKey } = newKey();
  const keyId = keyIdOf(publicKey);
  const name = nameOf(commonName);
  const extensions = [
    extension(KEY_USAGE, CA_KEY_USAGE, true),
    extension(BASIC_CONSTRAINTS, sequence(BOOLEAN_TRUE), true),
    extension(SUBJECT_KEY_ID, element(OCTET_STRING, keyId)),
    extension(AUTHORITY_KEY_ID, sequence(element(0x80, keyId))),
  ];
  const certificate = signed({ issuer: name, subject: name, publicKey, validity, extensions }, privateKey);
  return { certificate, key: pemOf(privateKey) };
}

/** A certificate signed by `signer`. Throws CaSecretError where the kind of its key is not supported. */
export function issueLeaf(request: LeafRequest, signer: Signer): Issued {
  const { publicKey, privateKey } = newKey();
  const { subjectKeyId, rawSubject } = signer.certificate;
  const extensions = [
    extension(KEY_USAGE, LEAF_KEY_USAGE, true),
    extension(EXTENDED_KEY_USAGE, sequence(...EXTENDED_USAGES[request.usage].map(objectIdentifier))),
    extension(BASIC_CONSTRAINTS, sequence(), true),
    extension(SUBJECT_KEY_ID, element(OCTET_STRING, keyIdOf(publicKey))),
  ];
  if (subjectKeyId !== undefined) {
    const keyId = Buffer.from(subjectKeyId.replaceAll(':', ''), 'hex');
    extensions.push(extension(AUTHORITY_KEY_ID, sequence(element(0x80, keyId))));
  }
  const names = [...request.dnsNames.map(dnsName), ...request.ipAddresses.map(ipAddress)];
  if (names.length > 0) extensions.push(extension(ALTERNATIVE_NAMES, sequence(...names)));
  const subject = nameOf(request.commonName);
  const certificate = signed(
    { issuer: element(SEQUENCE, rawSubject), subject, publicKey, validity: request, extensions },
    signer.key,
  );
  return { certificate, key: pemOf(privateKey) };
}

interface Body {
  /** The whole name in DER, as is `subject`. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly extensions: readonly Buffer[];
}

function signed({ issuer, subject, publicKey, validity, extensions }: Body, key: KeyObject): string {
  const { identifier, digest } = signatureOf(key);
  const body = sequence(
    // Version 3.
    element(0xa0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    identifier,
    issuer,
    sequence(time(validity.notBeforeMs), time(validity.notAfterMs)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...extensions)),
  );
  const certificate = sequence(body, identifier, bitString(sign(digest, body, key)));
  const lines = certificate.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const ECDSA_BY_CURVE: Readonly<Record<string, readonly [identifier: string, digest: string]>> = {
  prime256v1: ['1.2.840.10045.4.3.2', 'sha256'],
  secp384r1: ['1.2.840.10045.4.3.3', 'sha384'],
  secp521r1: ['1.2.840.10045.4.3.4', 'sha512'],
};

/** A CA may come from another tool: Helm generates RSA keys, Cilium's certgen P-256. */
function signatureOf(key: KeyObject): { readonly identifier: Buffer; readonly digest: string | null } {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa') {
    const noParameters = element(0x05);
    return { identifier: sequence(objectIdentifier('1.2.840.113549.1.1.11'), noParameters), digest: 'sha256' };
  }
  if (type === 'ed25519') return { identifier: sequence(objectIdentifier('1.3.101.112')), digest: null };
  const [identifier, digest] = ECDSA_BY_CURVE[details?.namedCurve ?? ''] ?? [];
  if (type === 'ec' && identifier !== undefined && digest !== undefined)
    return { identifier: sequence(objectIdentifier(identifier)), digest };
  throw new CaSecretError(`CA keys of type ${type} are not supported; allowed: RSA, ECDSA with P-256, P-384 or P-521, Ed25519`);
}

function newKey(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** SEC 1, the form that Cilium's certgen writes; Helm reads it too. */
function pemOf(key: KeyObject): string {
  return key.export({ type: 'sec1', format: 'pem' }).toString();
}

/** RFC 7093, method 1: the first 160 bits of SHA-256 of the public key bits. */
function keyIdOf(key: KeyObject): Buffer {
  const [whole] = elementsOf(key.export({ type: 'spki', format: 'der' }));
  const bits = inside(whole, SEQUENCE)[1]?.content.subarray(1) ?? Buffer.alloc(0);
  return createHash('sha256').update(bits).digest().subarray(0, 20);
}

function nameOf(commonName: string): Buffer {
  return sequence(element(SET, sequence(objectIdentifier(COMMON_NAME), element(UTF8_STRING, Buffer.from(commonName)))));
}

function extension(identifier: string, value: Buffer, isCritical = false): Buffer {
  return sequence(objectIdentifier(identifier), ...(isCritical ? [BOOLEAN_TRUE] : []), element(OCTET_STRING, value));
}

function dnsName(name: string): Buffer {
  return element(0x82, Buffer.from(name, 'ascii'));
}

function ipAddress(address: string): Buffer {
  return element(0x87, addressBytes(address));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  // Canonical form: hexadecimal groups only, also of an IPv4-mapped address.
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = shortest.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':')).map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
