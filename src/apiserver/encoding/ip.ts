/**
 * Addresses and networks in the form Go prints them.
 *
 * Keys contain addresses, and two spellings of one address would be two keys. So every address is parsed and printed again.
 */
import { addressBytes, addressText, isMapped } from '../../shared/ip.ts';

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
 * The network of `text` (`10.0.0.7/24`); undefined if it is invalid. Host bits are cleared.
 * A network of IPv4 addresses in IPv6 form is invalid: it belongs to neither family.
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
