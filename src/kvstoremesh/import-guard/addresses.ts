/** Addresses and prefixes as remotes write them: the last part of a key, or the CIDRs of a node. */
import ipaddr from 'ipaddr.js';

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
  return Buffer.from([...bytes, length]).toString('latin1');
}

function addressBytes(text: string): Uint8Array | undefined {
  const ipv4 = ipv4Bits(text, 0, text.length);
  if (ipv4 !== undefined) return Uint8Array.of(ipv4 >>> 24, (ipv4 >>> 16) & 0xff, (ipv4 >>> 8) & 0xff, ipv4 & 0xff);
  const bytes = text.length <= LONGEST_IPV6 ? ipv6Bytes(text) : undefined;
  if (bytes === undefined) return undefined;
  // An IPv4 address in the clothes of IPv6 is that address.
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? bytes.subarray(12) : bytes;
}

/** Eight groups of four hexadecimal digits, one run of zeros left out, the last two perhaps as an IPv4 address (RFC 4291). No zone. */
function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  const head = groupsOf(halves[0] ?? '');
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '') : [];
  if (head === undefined || tail === undefined || halves.length > 2) return undefined;
  const left = 8 - head.length - tail.length;
  if (halves.length === 2 ? left < 1 : left !== 0) return undefined;
  const bytes = new Uint8Array(16);
  for (const [i, group] of [...head, ...new Array<number>(left).fill(0), ...tail].entries()) {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  }
  return bytes;
}

function groupsOf(half: string): number[] | undefined {
  if (half === '') return [];
  const groups: number[] = [];
  const texts = half.split(':');
  for (const [i, text] of texts.entries()) {
    const ipv4 = i === texts.length - 1 ? ipv4Bits(text, 0, text.length) : undefined;
    if (ipv4 !== undefined) groups.push(ipv4 >>> 16, ipv4 & 0xffff);
    else if (/^[0-9a-fA-F]{1,4}$/.test(text)) groups.push(Number.parseInt(text, 16));
    else return undefined;
  }
  return groups;
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
  return /^1*0*$/.test(ones) ? ones.replace(/0+$/, '').length : undefined;
}

function masked(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >>> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
}
