/**
 * Whether the server of a handshake is trusted, and has the requested name.
 */
import type { TLSSocket } from 'node:tls';
import { ProgramError } from '../errors.ts';
import { MAX_PRESENTED_CERTIFICATES } from '../limits.ts';
import { type Certificate, certificateOf } from './certificate.ts';
import { chainOf } from './chain.ts';
import { nameVerdict } from './server-name.ts';
import type { Trust } from './trust.ts';

/** A server that is not to be trusted. `reason` is a code of OpenSSL or of Node. */
export class PeerError extends ProgramError {
  readonly code = 'TLS_PEER';
  readonly retriable = true;
  readonly reason: string;

  constructor(message: string, reason: string) {
    super(`${message} (${reason})`);
    this.reason = reason;
  }
}

export interface PeerRules {
  readonly trust: Trust;
  /** The name or address that the certificate must be for. */
  readonly host: string;
  /** Any certificate will do. */
  readonly skipVerify?: boolean;
  /** A name in the common name alone is none. */
  readonly strictServerNames?: boolean | undefined;
}

export interface Peer {
  /** As the server presented them, its own first. */
  readonly certificates: readonly Certificate[];
  /** The certificate has its name in the common name alone, and is accepted all the same. */
  readonly hasLegacyName: boolean;
}

/** `socket` has completed its handshake, without verification. Throws PeerError. */
export function verifyPeer(socket: TLSSocket, rules: PeerRules): Peer {
  const certificates = presentedBy(socket);
  if (rules.skipVerify === true) return { certificates, hasLegacyName: false };
  const [leaf] = certificates;
  if (leaf === undefined) throw new PeerError('the server has no certificate', 'ERR_TLS_NO_CERTIFICATE');
  const mistrust = mistrustOf(socket, certificates, rules.trust, Date.now());
  if (mistrust !== undefined) throw new PeerError(`the certificate of the server is not trusted: ${wordsOf(mistrust)}`, mistrust);
  return { certificates, hasLegacyName: hasLegacyName(leaf, rules) };
}

/** OpenSSL's own words for the codes that operators meet. */
const WORDS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_REVOKED: 'certificate revoked',
  CERT_SIGNATURE_FAILURE: 'certificate signature failure',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  INVALID_CA: 'invalid CA certificate',
  INVALID_PURPOSE: 'unsuitable certificate purpose',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to verify the first certificate',
};

function wordsOf(code: string): string {
  return WORDS[code] ?? 'verification failed';
}

/** The code for why the chain of the server is not to be trusted; undefined where it is. Names play no part. */
export function mistrustOf(
  socket: TLSSocket,
  [leaf, ...intermediates]: readonly Certificate[],
  trust: Trust,
  nowMs: number,
): string | undefined {
  if (socket.authorized) return undefined;
  const error: unknown = socket.authorizationError;
  const code = typeof error === 'object' && error !== null ? String((error as NodeJS.ErrnoException).code) : String(error);
  const isTrusted = leaf !== undefined && chainOf(leaf, intermediates, trust.anchors, { nowMs }) !== undefined;
  return isTrusted ? undefined : code;
}

/**
 * The certificates that a server sent, its own first, as far as each has issued the one before. Throws CertificateError where its own is
 * malformed; others that are malformed end the list.
 */
function presentedBy(socket: TLSSocket): readonly Certificate[] {
  const leaf = socket.getPeerX509Certificate();
  const certificates = leaf === undefined ? [] : [certificateOf(leaf)];
  for (let next = leaf?.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (certificates.length >= MAX_PRESENTED_CERTIFICATES) break;
    try {
      certificates.push(certificateOf(next));
    } catch {
      break;
    }
  }
  return certificates;
}

function hasLegacyName(leaf: Certificate, { host, strictServerNames }: PeerRules): boolean {
  const verdict = nameVerdict(leaf, host);
  if (verdict === 'covered' || (verdict === 'legacy' && strictServerNames !== true)) return verdict === 'legacy';
  const names = leaf.alternativeNames.slice(0, 10).join(', ').slice(0, 500) || 'no name';
  const detail =
    verdict === 'legacy'
      ? `has ${host} only in its common name; issue it with a subject alternative name`
      : `is for ${names}, not for ${host}`;
  throw new PeerError(`the certificate of the server ${detail}`, 'ERR_TLS_CERT_ALTNAME_INVALID');
}
