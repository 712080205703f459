/** Parses addresses and prefixes of remotes: the last part of a key, or the CIDRs of a node. */
import { addressBytes, ipv4Bits, isMapped, addressText as textOfBytes } from '../../shared/ip.ts';

/** The 4 or 16 bytes of an address, and how many of their bits count. The others are 0. */
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
  const ipv4 = ipv4Bits(text);
  if (ipv4 !== undefined) return ipv4;
  const slash = text.indexOf('/');
  const bytes = unmappedBytes(slash < 0 ? text : text.slice(0, slash));
  if (bytes === undefined) return undefined;
  const bits = bytes.length * 8;
  const length = slash < 0 ? bits : lengthOf(text.slice(slash + 1), bits);
  return length === undefined ? undefined : keyOfPrefix({ bytes: masked(bytes, length), length });
}

/** A prefix in CIDR notation; what is wrong with it where it has further bits, undefined where it is none. */
export function cidrPrefix(text: string): Prefix | string | undefined {
  const slash = text.indexOf('/');
  const bytes = slash < 0 ? undefined : addressBytes(text.slice(0, slash));
  if (bytes === undefined || isMapped(bytes)) return undefined;
  const length = lengthOf(text.slice(slash + 1), bytes.length * 8);
  if (length === undefined) return undefined;
  const network = { bytes: masked(Uint8Array.from(bytes), length), length };
  return Buffer.compare(network.bytes, bytes) === 0 ? network : `the network, ${textOfBytes(network.bytes)}/${length}`;
}

/** How an address is written in a key. */
export function addressText(key: AddressKey): string {
  if (typeof key === 'number') return [24, 16, 8, 0].map((shift) => (key >>> shift) & 0xff).join('.');
  const bytes = Buffer.from(key, 'latin1').subarray(0, -1);
  const length = key.charCodeAt(key.length - 1);
  const text = textOfBytes(bytes);
  return length === bytes.length * 8 ? text : `${text}/${length}`;
}

/** The prefix of an address in text form and a mask; undefined where they are none. */
export function maskedPrefix(address: string, mask: Uint8Array): Prefix | undefined {
  const bytes = unmappedBytes(address);
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

/** As 4 bytes also where it is written in IPv6 form. */
function unmappedBytes(text: string): Uint8Array | undefined {
  const bytes = addressBytes(text);
  return bytes !== undefined && isMapped(bytes) ? bytes.subarray(12) : bytes;
}

function lengthOf(text: string, bits: number): number | undefined {
  const length = /^\d{1,3}$/.test(text) ? Number(text) : bits + 1;
  return length <= bits ? length : undefined;
}

/** The ones of a mask, all of which come first. */
function lengthOfMask(mask: Uint8Array): number | undefined {
  let [length, hasEnded] = [0, false];
  for (const byte of mask) {
    const ones = Math.clz32(~(byte << 24));
    // Behind the ones of a byte there are zeros only, and behind the first zero no ones.
    if (((byte << ones) & 0xff) !== 0 || (hasEnded && ones > 0)) return undefined;
    length += ones;
    hasEnded = ones < 8;
  }
  return length;
}

/** `bytes` with nothing beyond the first `length` bits. */
function masked(bytes: Uint8Array, length: number): Uint8Array {
  const cut = length >> 3;
  if (cut === bytes.length) return bytes;
  bytes.fill(0, cut + 1);
  bytes[cut] = (bytes[cut] as number) & (0xff00 >>> (length & 7));
  return bytes;
}
