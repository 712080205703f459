/** CIDRs as ranges of numbers, and which of them overlap. */
import { addressBytes } from '../../../shared/ip.ts';

export interface Range {
  readonly first: bigint;
  readonly last: bigint;
  readonly bits: 32 | 128;
  /** As written. */
  readonly text: string;
  /** Of whom. */
  readonly owner: string;
}

/** Undefined for anything but an address or a CIDR. */
export function rangeOf(text: string, owner: string): Range | undefined {
  const [address = '', length, ...rest] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === undefined || rest.length > 0) return undefined;
  const bits = bytes.length === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (prefix < 0 || prefix > bits) return undefined;
  const size = 1n << BigInt(bits - prefix);
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const first = value - (value % size);
  return { first, last: first + size - 1n, bits, text, owner };
}

/** Pairs of a range of `some` and one of `others` that overlap, at most `limit`. Takes sorted order, not each pair. */
export function overlaps(some: readonly Range[], others: readonly Range[], limit: number): readonly (readonly [Range, Range])[] {
  const found: (readonly [Range, Range])[] = [];
  for (const bits of [32, 128] as const) {
    const all = [...some.map((range) => ({ range, isOne: true })), ...others.map((range) => ({ range, isOne: false }))]
      .filter(({ range }) => range.bits === bits)
      .sort((a, b) => (a.range.first < b.range.first ? -1 : a.range.first > b.range.first ? 1 : 0));
    /** Of each side the range that reaches furthest. */
    const furthest: { one?: Range; other?: Range } = {};
    for (const { range, isOne } of all) {
      if (found.length >= limit) return found;
      const facing = isOne ? furthest.other : furthest.one;
      if (facing !== undefined && facing.last >= range.first) found.push(isOne ? [range, facing] : [facing, range]);
      const side = isOne ? 'one' : 'other';
      if ((furthest[side]?.last ?? -1n) < range.last) furthest[side] = range;
    }
  }
  return found;
}
