/** Addresses and prefixes as remotes write them: the last part of a key, or the CIDRs of a node. */
import ipaddr from 'ipaddr.js';

const COLON = 0x3a;

/** The last two groups as an IPv4 address. */
const LONGEST_IPV6 = 45;

/** The bits of an address, 4 or 16 bytes, and how many of them count. Those beyond are 0. */
export interface Prefix {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/**
 * A prefix in its shortest form, as the key of a map: an IPv4 address is its 32 bits as a number, anything else a
 * string of its bytes and its length.
 */
export type AddressKey = number | string;

/** `10.7.0.1`, `fd00::1`, with or without `/24`; undefined for anything else. */
export function addressKey(text: string): AddressKey | undefined {
  const ipv4 = ipv4Bits(text, 0, text.length);
  if (ipv4 !== undefined) return ipv4;
  const slash = text.indexOf('/');
  const bytes = addressBytes(slash < 0 ? text : text.slice(0, slash));
  if (bytes === undefined) return undefined;
  const bits = bytes.length * 8;
  const length = slash < 0 ? bits : lengthOf(text.slice(slash + 1), bits);
  return length === undefined ? undefined : keyOfPrefix({ bytes: masked(bytes, length), length });
}

/** How an address is written in a key. */
export function addressText(key: AddressKey): string {
  if (typeof key === 'number') return [24, 16, 8, 0].map((shift) => (key >>> shift) & 0xff).join('.');
  const bytes = Buffer.from(key, 'latin1').subarray(0, -1);
  const length = key.charCodeAt(key.length - 1);
  const text = bytes.length === 4 ? bytes.join('.') : new ipaddr.IPv6([...bytes]).toRFC5952String();
  return length === bytes.length * 8 ? text : `${text}/${length}`;
}

/** The prefix of an address in text form and a mask; undefined where they are none. */
export function maskedPrefix(address: string, mask: Uint8Array): Prefix | undefined {
  const bytes = addressBytes(address);
  const length = lengthOfMask(mask);
  if (bytes === undefined || length === undefined || bytes.length !== mask.length) return undefined;
  return { bytes: masked(bytes, length), length };
}

export function isSamePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && Buffer.compare(a.bytes, b.bytes) === 0;
}

function keyOfPrefix({ bytes, length }: Prefix): AddressKey {
  if (bytes.length === 4 && length === 32) return Buffer.from(bytes).readInt32BE();
  return String.fromCharCode(...bytes, length);
}

function addressBytes(text: string): Uint8Array | undefined {
  const ipv4 = ipv4Bits(text, 0, text.length);
  if (ipv4 !== undefined) return Uint8Array.of(ipv4 >>> 24, (ipv4 >>> 16) & 0xff, (ipv4 >>> 8) & 0xff, ipv4 & 0xff);
  const bytes = text.length <= LONGEST_IPV6 ? ipv6Bytes(text) : undefined;
  if (bytes === undefined) return undefined;
  // An IPv4 address in the clothes of IPv6 is that address.
  const isMapped = bytes[10] === 0xff && bytes[11] === 0xff && bytes.every((byte, i) => byte === 0 || i >= 10);
  return isMapped ? bytes.subarray(12) : bytes;
}

/** Eight groups of four hexadecimal digits, one run of zeros left out, the last two perhaps as an IPv4 address (RFC 4291). No zone. */
function ipv6Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(16);
  let filled = 0;
  /** Where the run of zeros is that is left out. */
  let gap = -1;
  let at = 0;
  while (at < text.length) {
    if (text.startsWith('::', at)) {
      if (gap >= 0) return undefined;
      gap = filled;
      at += 2;
      continue;
    }
    if (filled > 0 && gap !== filled) {
      if (text.charCodeAt(at) !== COLON) return undefined;
      at += 1;
    }
    const end = groupEnd(text, at);
    const ipv4 = end === text.length ? ipv4Bits(text, at, end) : undefined;
    const group = ipv4 ?? groupOf(text, at, end);
    if (group === undefined || filled + (ipv4 === undefined ? 2 : 4) > 16) return undefined;
    if (ipv4 !== undefined) {
      bytes[filled] = ipv4 >>> 24;
      bytes[filled + 1] = ipv4 >>> 16;
      filled += 2;
    }
    bytes[filled] = group >>> 8;
    bytes[filled + 1] = group;
    filled += 2;
    at = end;
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  if (filled === 16) return undefined;
  bytes.copyWithin(16 - (filled - gap), gap, filled);
  return bytes.fill(0, gap, 16 - (filled - gap));
}

function groupEnd(text: string, from: number): number {
  const end = text.indexOf(':', from);
  return end < 0 ? text.length : end;
}

function groupOf(text: string, from: number, to: number): number | undefined {
  if (to === from || to - from > 4) return undefined;
  let group = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    const letter = (code | 0x20) - 0x61;
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : letter >= 0 && letter < 6 ? letter + 10 : -1;
    if (digit < 0) return undefined;
    group = group * 16 + digit;
  }
  return group;
}

/** Four decimal numbers without leading zeros, as 32 bits with a sign. */
function ipv4Bits(text: string, from: number, to: number): number | undefined {
  if (to - from > 15) return undefined;
  let bits = 0;
  let part = -1;
  let dots = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x2e) {
      if (part < 0) return undefined;
      bits = (bits << 8) | part;
      part = -1;
      dots += 1;
    } else {
      const digit = code - 0x30;
      if (digit < 0 || digit > 9 || part === 0) return undefined;
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return undefined;
    }
  }
  return dots === 3 && part >= 0 ? (bits << 8) | part : undefined;
}

function lengthOf(text: string, bits: number): number | undefined {
  const length = /^\d{1,3}$/.test(text) ? Number(text) : bits + 1;
  return length <= bits ? length : undefined;
}

/** The ones of a mask, all of which come first. */
function lengthOfMask(mask: Uint8Array): number | undefined {
  const ones = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^(1*)0*$/.exec(ones)?.[1]?.length;
}

/** `bytes` with nothing beyond the first `length` bits. */
function masked(bytes: Uint8Array, length: number): Uint8Array {
  const cut = length >> 3;
  if (cut === bytes.length) return bytes;
  bytes.fill(0, cut + 1);
  bytes[cut] = (bytes[cut] as number) & (0xff00 >>> (length & 7));
  return bytes;
}
