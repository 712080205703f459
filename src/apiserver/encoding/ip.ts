/**
 * Addresses and networks in the form Go prints them.
 *
 * Keys contain addresses, and two spellings of one address would be two keys. So every address is
 * parsed and printed again: IPv6 as RFC 5952 has it, an IPv4 address in IPv6 form (`::ffff:10.1.1.1`)
 * as IPv4. Refused, as Go refuses them: zones (`fe80::1%eth0`), numbers with leading zeros (some
 * programs read those as octal), prefixes where an address is wanted.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type IpFamily = 'IPv4' | 'IPv6';

/** A network: its first address in canonical form, and its mask, 4 or 16 bytes in base64. */
export interface Network {
  readonly family: IpFamily;
  readonly address: string;
  readonly mask: string;
}

/** `text` as the one canonical text of its address; undefined where it is not an address. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = addressBytes(text);
  return bytes && addressText(bytes);
}

/**
 * The network `text` (`10.0.0.7/24`) stands for; undefined where it is not one. Host bits are cleared.
 * A network of IPv4 addresses in IPv6 form is none: it belongs to neither family.
 */
export function parseNetwork(text: string): Network | undefined {
  const [, address, length] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  if (address === undefined) return undefined;
  const bytes = addressBytes(address);
  const bits = Number(length);
  if (bytes === undefined || bits > bytes.length * 8 || isMapped(bytes)) return undefined;
  const mask = bytes.map((_, index) => (0xff00 >> Math.min(8, Math.max(0, bits - index * 8))) & 0xff);
  const network = bytes.map((byte, index) => byte & (mask[index] ?? 0));
  return {
    family: bytes.length === 4 ? 'IPv4' : 'IPv6',
    address: addressText(network),
    mask: Buffer.from(mask).toString('base64'),
  };
}

function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.'), Number);
  if (isIPv6(text) && !text.includes('%')) return ipv6Bytes(text);
  return undefined;
}

/** The 16 bytes of `text`, which is known to be an IPv6 address without zone. */
function ipv6Bytes(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const first = groupBytes(head);
  const last = groupBytes(tail ?? '');
  const bytes = new Uint8Array(16);
  bytes.set(first, 0);
  bytes.set(last, 16 - last.length);
  return bytes;
}

/** The bytes of a run of groups; the last one may be a dotted IPv4 address. */
function groupBytes(groups: string): number[] {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(':');
  return `${groups.slice(0, run.start).join(':')}::${groups.slice(run.start + run.length).join(':')}`;
}

/** The longest run of zero groups, the first of equally long ones. */
function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== '0') start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}
