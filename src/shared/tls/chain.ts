/**
 * The path from a certificate to an anchor, by the rules of Go's crypto/x509: each certificate of a CA file is an anchor, and of
 * several CAs with one name the one whose key has signed is the issuer, independent of key identifiers.
 *
 * OpenSSL uses the first CA with the name and stops there, hence this search. Otherwise it is no more lenient than OpenSSL:
 * it rejects what it does not support.
 */
import type { Certificate } from './certificate.ts';
import { contentOf, elementsOf, INTEGER, inside, OBJECT_IDENTIFIER, objectIdentifier, SEQUENCE } from './der.ts';

/** Signatures that are verified for one certificate, as in Go. */
const MAX_SIGNATURE_CHECKS = 100;
const MAX_DEPTH = 10;

export interface ChainRules {
  /** Wall clock. */
  readonly nowMs: number;
}

/**
 * The issuers of `leaf` up to an anchor, without the leaf; undefined if none of `anchors` is reached. With `rules` every
 * certificate in between must be valid for a TLS server now; without them only names, signatures and the right to issue
 * count.
 */
export function chainOf(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  rules?: ChainRules,
): readonly Certificate[] | undefined {
  return new Search(intermediates, anchors, rules).from(leaf);
}

class Search {
  readonly #intermediates: ReadonlyMap<string, readonly Certificate[]>;
  readonly #anchors: ReadonlyMap<string, readonly Certificate[]>;
  readonly #rules: ChainRules | undefined;
  #checksLeft = MAX_SIGNATURE_CHECKS;

  constructor(intermediates: readonly Certificate[], anchors: readonly Certificate[], rules: ChainRules | undefined) {
    this.#intermediates = bySubject(intermediates);
    this.#anchors = bySubject(anchors);
    this.#rules = rules;
  }

  from(leaf: Certificate): readonly Certificate[] | undefined {
    if (this.#rules !== undefined && !isUsableLeaf(leaf, this.#rules)) return undefined;
    const equal = this.#anchors.get(key(leaf.rawSubject))?.find(({ x509 }) => x509.raw.equals(leaf.x509.raw));
    return equal === undefined ? this.#up(leaf, []) : [equal];
  }

  #up(current: Certificate, below: readonly Certificate[]): readonly Certificate[] | undefined {
    if (below.length >= MAX_DEPTH) return undefined;
    const issuer = key(current.rawIssuer);
    for (const anchor of this.#anchors.get(issuer) ?? []) {
      if (this.#hasIssued(anchor, current, below)) return [...below, anchor];
    }
    for (const candidate of this.#intermediates.get(issuer) ?? []) {
      if (candidate === current || below.includes(candidate) || !this.#hasIssued(candidate, current, below)) continue;
      const chain = this.#up(candidate, [...below, candidate]);
      if (chain !== undefined) return chain;
    }
    return undefined;
  }

  #hasIssued(issuer: Certificate, certificate: Certificate, below: readonly Certificate[]): boolean {
    if (!issuer.x509.ca || this.#checksLeft <= 0) return false;
    if (this.#rules !== undefined && !isUsableIssuer(issuer, certificate, below, this.#rules)) return false;
    this.#checksLeft -= 1;
    try {
      return certificate.x509.verify(issuer.x509.publicKey);
    } catch {
      // A key that OpenSSL does not take.
      return false;
    }
  }
}

const KEY_USAGE = '2.5.29.15';
const ALTERNATIVE_NAMES = '2.5.29.17';
const BASIC_CONSTRAINTS = '2.5.29.19';
const NAME_CONSTRAINTS = '2.5.29.30';
const EXTENDED_KEY_USAGE = '2.5.29.37';

/** Extensions whose meaning is known here; any other one that is critical makes a certificate unusable. */
const UNDERSTOOD = [KEY_USAGE, ALTERNATIVE_NAMES, BASIC_CONSTRAINTS, EXTENDED_KEY_USAGE];

const SERVER_USAGES = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/** RSA and ECDSA with SHA-2, and Ed25519. */
const SIGNATURES = [
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
  '1.3.101.112',
];

const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];
const MIN_RSA_BITS = 2_048;

const BOOLEAN = 0x01;
const BIT_STRING = 0x03;

/** Bits of the first octet of a key usage. */
const MAY_SIGN_KEYS = 0x04;
const MAY_BE_SERVER = 0x80 | 0x20 | 0x08;

function isUsableLeaf(leaf: Certificate, rules: ChainRules): boolean {
  return refusingWhatIsMalformed(() => isUsable(leaf, rules) && (keyUsage(leaf) & MAY_BE_SERVER) !== 0);
}

function isUsableIssuer(issuer: Certificate, issued: Certificate, below: readonly Certificate[], rules: ChainRules): boolean {
  return refusingWhatIsMalformed(() => {
    const { isAuthority, maxPathLength } = basicConstraints(issuer);
    // A certificate that an authority issued to itself does not count.
    const length = below.filter(({ rawSubject, rawIssuer }) => !rawSubject.equals(rawIssuer)).length;
    return (
      isUsable(issuer, rules) &&
      isAuthority &&
      length <= maxPathLength &&
      (keyUsage(issuer) & MAY_SIGN_KEYS) !== 0 &&
      !issuer.extensions.has(NAME_CONSTRAINTS) &&
      SIGNATURES.includes(issued.signatureAlgorithm)
    );
  });
}

function isUsable(certificate: Certificate, { nowMs }: ChainRules): boolean {
  const { notBeforeMs, notAfterMs, extensions } = certificate;
  const isStrange = [...extensions].some(([id, { isCritical }]) => isCritical && !UNDERSTOOD.includes(id));
  return notBeforeMs <= nowMs && nowMs <= notAfterMs && !isStrange && hasStrongKey(certificate) && servesServers(certificate);
}

function hasStrongKey({ x509 }: Certificate): boolean {
  const { asymmetricKeyType, asymmetricKeyDetails = {} } = x509.publicKey;
  if (asymmetricKeyType === 'rsa') return (asymmetricKeyDetails.modulusLength ?? 0) >= MIN_RSA_BITS;
  if (asymmetricKeyType === 'ec') return CURVES.includes(asymmetricKeyDetails.namedCurve ?? '');
  return asymmetricKeyType === 'ed25519';
}

/** Without the extension a certificate may be used for anything. */
function servesServers({ extensions }: Certificate): boolean {
  const usages = extensions.get(EXTENDED_KEY_USAGE);
  if (usages === undefined) return true;
  return inside(elementsOf(usages.value)[0], SEQUENCE).some((usage) =>
    SERVER_USAGES.includes(objectIdentifier(contentOf(usage, OBJECT_IDENTIFIER))),
  );
}

/** Without the extension every bit is set. */
function keyUsage({ extensions }: Certificate): number {
  const usage = extensions.get(KEY_USAGE);
  if (usage === undefined) return 0xff;
  // The first octet counts the unused bits of the last one.
  return contentOf(elementsOf(usage.value)[0], BIT_STRING)[1] ?? 0;
}

function basicConstraints({ extensions }: Certificate): { readonly isAuthority: boolean; readonly maxPathLength: number } {
  const constraints = extensions.get(BASIC_CONSTRAINTS);
  if (constraints === undefined) return { isAuthority: false, maxPathLength: 0 };
  const fields = inside(elementsOf(constraints.value)[0], SEQUENCE);
  const isAuthority = fields[0]?.tag === BOOLEAN && fields[0].content[0] !== 0;
  const length = fields.find(({ tag }) => tag === INTEGER)?.content;
  if (length === undefined) return { isAuthority, maxPathLength: Number.POSITIVE_INFINITY };
  return { isAuthority, maxPathLength: length.length === 1 ? (length[0] ?? 0) : 0 };
}

function refusingWhatIsMalformed(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

function bySubject(certificates: readonly Certificate[]): ReadonlyMap<string, readonly Certificate[]> {
  return Map.groupBy(certificates, ({ rawSubject }) => key(rawSubject));
}

function key(name: Buffer): string {
  return name.toString('latin1');
}
