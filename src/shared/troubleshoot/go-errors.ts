/**
 * Errors of the system and of OpenSSL in the words of Go's programs, which is how this kind of report is read and searched for.
 */
import { asError } from '../errors.ts';
import type { Failure } from './findings.ts';

export const DEADLINE = 'DEADLINE';

const ERRNO: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset by peer',
  EHOSTUNREACH: 'no route to host',
  EISDIR: 'is a directory',
  ENETUNREACH: 'network is unreachable',
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  ETIMEDOUT: 'connection timed out',
};

/** By number: RFC 8446, section 6. */
const ALERTS: Readonly<Record<number, string>> = {
  40: 'handshake failure',
  42: 'bad certificate',
  43: 'unsupported certificate',
  44: 'revoked certificate',
  45: 'expired certificate',
  46: 'unknown certificate',
  47: 'illegal parameter',
  48: 'unknown certificate authority',
  49: 'access denied',
  51: 'error decrypting message',
  70: 'protocol version not supported',
  71: 'insufficient security level',
  80: 'internal error',
  112: 'unrecognized name',
  116: 'certificate required',
  120: 'no application protocol',
};

const UNKNOWN_AUTHORITY = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
];

export const MISTRUST_TEXT = 'x509: certificate signed by unknown authority';

/** `open <path>: no such file or directory` */
export function fileFailure(path: string, thrown: unknown): Failure {
  return { failed: true, code: codeOf(thrown), text: `open ${path}: ${errnoText(thrown)}` };
}

/** `lookup <host>: no such host` */
export function lookupFailure(host: string, thrown: unknown, isLate: boolean): Failure {
  if (isLate) return { failed: true, code: DEADLINE, text: `lookup ${host}: i/o timeout` };
  const code = codeOf(thrown);
  const text =
    code === 'ENOTFOUND' || code === 'ENODATA' ? 'no such host' : code === 'EAI_AGAIN' ? 'server misbehaving' : errnoText(thrown);
  return { failed: true, code, text: `lookup ${host}: ${text}` };
}

/** `dial tcp <address>: connect: connection refused` */
export function dialFailure(address: string, thrown: unknown, isLate: boolean): Failure {
  if (isLate) return { failed: true, code: DEADLINE, text: `dial tcp ${address}: i/o timeout` };
  // Several addresses were tried: the error of the first one is reported.
  const first: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  return { failed: true, code: codeOf(first), text: `dial tcp ${address}: connect: ${errnoText(first)}` };
}

/** A handshake, or the read after it, failed. */
export function tlsFailure(thrown: unknown, isLate: boolean): Failure {
  if (isLate) return { failed: true, code: DEADLINE, text: 'context deadline exceeded' };
  const { message } = asError(thrown);
  const code = codeOf(thrown);
  const number = /alert number (\d+)/.exec(message)?.[1];
  if (number !== undefined) {
    const alert = Number(number);
    return { failed: true, code, alert, text: `remote error: tls: ${ALERTS[alert] ?? `alert(${alert})`}` };
  }
  if (/wrong version number|packet length too long|http request/i.test(message)) {
    return { failed: true, code, text: 'tls: first record does not look like a TLS handshake' };
  }
  // Node's error for a connection that ends during a handshake.
  if (/before secure TLS connection was established/.test(message)) return { failed: true, code: 'EOF', text: 'EOF' };
  return { failed: true, code, text: /SSL routines/.test(message) ? opensslReason(message) : errnoText(thrown) };
}

/** A chain that Node does not trust, by its code. */
export function mistrustFailure(code: string, nowMs: number, notBeforeMs: number, notAfterMs: number): Failure {
  const time = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
  if (UNKNOWN_AUTHORITY.includes(code)) return { failed: true, code, text: MISTRUST_TEXT };
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const relation = code === 'CERT_HAS_EXPIRED' ? `after ${time(notAfterMs)}` : `before ${time(notBeforeMs)}`;
    return {
      failed: true,
      code,
      text: `x509: certificate has expired or is not yet valid: current time ${time(nowMs)} is ${relation}`,
    };
  }
  return { failed: true, code, text: `x509: ${code}` };
}

function errnoText(thrown: unknown): string {
  return ERRNO[codeOf(thrown)] ?? asError(thrown).message;
}

function codeOf(thrown: unknown): string {
  const { code } = asError(thrown) as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : '';
}

function opensslReason(message: string): string {
  return `tls: ${message.split(':').at(5)?.trim() || 'handshake failed'}`;
}
