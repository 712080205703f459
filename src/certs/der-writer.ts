/**
 * DER encoding (ITU-T X.690) of the elements that a certificate has. The reader is `shared/tls/der.ts`.
 */
import { SEQUENCE } from '../shared/tls/der.ts';

/** One element with the concatenated `parts` as its content. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, ...lengthOctets(content.length)]), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return element(SEQUENCE, ...parts);
}

/** A positive integer, big-endian, of any length. */
export function integer(magnitude: Uint8Array): Buffer {
  const first = magnitude.findIndex((octet) => octet !== 0);
  const octets = first < 0 ? Buffer.from([0]) : Buffer.from(magnitude.subarray(first));
  // A set first bit would mean a negative number.
  return element(0x02, ...((octets[0] ?? 0) >= 0x80 ? [Buffer.from([0])] : []), octets);
}

/** `2.5.29.14`; each arc below 2^31. */
export function objectIdentifier(dotted: string): Buffer {
  const [root = 0, second = 0, ...others] = dotted.split('.').map(Number);
  return element(0x06, Buffer.from([root * 40 + second, ...others].flatMap(base128)));
}

export function bitString(bits: Uint8Array, unused = 0): Buffer {
  return element(0x03, Buffer.from([unused]), bits);
}

/** Truncated to seconds. RFC 5280: UTCTime up to 2049, GeneralizedTime from 2050 on. */
export function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().slice(0, 19).replaceAll(/\D/g, '')}Z`;
  return digits < '2050' ? element(0x17, Buffer.from(digits.slice(2))) : element(0x18, Buffer.from(digits));
}

function lengthOctets(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return [0x80 | octets.length, ...octets];
}

function base128(arc: number): number[] {
  const octets = [arc % 128];
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128));
  return octets;
}
