/**
 * Sets of addresses as sorted ranges that neither overlap nor touch, so that a search decides about an address or a prefix: 256
 * CIDRs take eight comparisons.
 */
import { addressBytes, ipv4Bits, isMapped } from '../../../shared/ip.ts';
import type { Prefix } from '../../import-guard/addresses.ts';

/** The ranges of one family. An address is one word of 32 bits, or four. */
class Ranges {
  readonly #words: number;
  readonly #first: Uint32Array;
  readonly #last: Uint32Array;
  readonly #count: number;

  constructor(words: number, prefixes: readonly Prefix[]) {
    this.#words = words;
    const sorted = merged(prefixes.map((prefix) => [bound(prefix, 0n), bound(prefix, 1n)] as const));
    this.#count = sorted.length;
    this.#first = new Uint32Array(sorted.flatMap(([first]) => wordsOf(first, words)));
    this.#last = new Uint32Array(sorted.flatMap(([, last]) => wordsOf(last, words)));
  }

  /** Some range has all addresses from `first` to `last`. */
  covers(first: Uint32Array, last: Uint32Array): boolean {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#last, middle, first) < 0) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && this.#compare(this.#first, low, first) <= 0 && this.#compare(this.#last, low, last) >= 0;
  }

  /** As `covers`, for one address of one word. */
  has(address: number): boolean {
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#last[middle] as number) < address) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && (this.#first[low] as number) <= address;
  }

  #compare(bounds: Uint32Array, range: number, address: Uint32Array): number {
    for (let word = 0; word < this.#words; word += 1) {
      const difference = (bounds[range * this.#words + word] as number) - (address[word] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

export class AddressRanges {
  readonly #ipv4: Ranges;
  readonly #ipv6: Ranges;
  readonly #first4 = new Uint32Array(1);
  readonly #first6 = new Uint32Array(4);
  readonly #last4 = new Uint32Array(1);
  readonly #last6 = new Uint32Array(4);

  constructor(prefixes: readonly Prefix[]) {
    this.#ipv4 = new Ranges(
      1,
      prefixes.filter(({ bytes }) => bytes.length === 4),
    );
    this.#ipv6 = new Ranges(
      4,
      prefixes.filter(({ bytes }) => bytes.length === 16),
    );
  }

  /** False where `text` is no address. An IPv4 address in IPv6 form counts as IPv4. */
  hasText(text: string): boolean {
    const ipv4 = ipv4Bits(text);
    if (ipv4 !== undefined) return this.hasIpv4(ipv4);
    const bytes = addressBytes(text);
    if (bytes === undefined) return false;
    const unmapped = isMapped(bytes) ? bytes.subarray(12) : bytes;
    return this.covers({ bytes: unmapped, length: unmapped.length * 8 });
  }

  /** `bits`: see ipv4Bits. */
  hasIpv4(bits: number): boolean {
    return this.#ipv4.has(bits >>> 0);
  }

  /** All addresses of the prefix are in the set. */
  covers({ bytes, length }: Prefix): boolean {
    const isIpv4 = bytes.length === 4;
    const [ranges, first, last] = isIpv4 ? [this.#ipv4, this.#first4, this.#last4] : [this.#ipv6, this.#first6, this.#last6];
    for (let word = 0; word < first.length; word += 1) {
      const at = word * 4;
      const bits =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number);
      const kept = Math.min(32, Math.max(0, length - word * 32));
      const host = kept === 32 ? 0 : 0xffff_ffff >>> kept;
      first[word] = bits & ~host;
      last[word] = bits | host;
    }
    return ranges.covers(first, last);
  }
}

/** The first (`fill` 0) or last (1) address of a prefix. */
function bound({ bytes, length }: Prefix, fill: bigint): bigint {
  const host = BigInt(bytes.length * 8 - length);
  const network = BigInt(`0x${Buffer.from(bytes).toString('hex')}`) >> host;
  return (network << host) | (fill === 0n ? 0n : (1n << host) - 1n);
}

function merged(ranges: readonly (readonly [bigint, bigint])[]): readonly (readonly [bigint, bigint])[] {
  const sorted = [...ranges].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const found: [bigint, bigint][] = [];
  for (const [first, last] of sorted) {
    const before = found.at(-1);
    if (before === undefined || first > before[1] + 1n) found.push([first, last]);
    else if (last > before[1]) before[1] = last;
  }
  return found;
}

function wordsOf(address: bigint, words: number): number[] {
  return Array.from({ length: words }, (_, word) => Number((address >> BigInt(32 * (words - 1 - word))) & 0xffff_ffffn));
}
