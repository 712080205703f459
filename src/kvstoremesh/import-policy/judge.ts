/** What decides about a key of one kind, and what judges of values with addresses share. */
import { ipv4BitsOfBytes } from '../../shared/ip.ts';
import { asciiOf } from '../import-guard/json-members.ts';
import type { AddressRanges } from './rules/address-ranges.ts';
import { MAX_NAMESPACE_LENGTH } from './rules/namespaces.ts';

export const REFUSALS = ['namespaces', 'podCIDRs', 'nodeCIDRs', 'unused', 'unreadable'] as const;
/** Why a key is not imported: the member of the rule; no imported endpoint uses the identity; the value cannot be read. */
export type PolicyRefusal = (typeof REFUSALS)[number];

/** Undefined: the key is imported. */
export type Verdict = PolicyRefusal | undefined;

/** Decides about the keys of one kind; not reentrant. */
export interface Judge {
  /** The value has to be read where `byKey` refuses nothing. */
  readonly readsValue: boolean;
  /** `from`: where `key` goes on behind the prefix of its kind and cluster. */
  byKey(key: string, from: number): Verdict;
  byValue(value: Buffer): Verdict;
  /** The address for which the last verdict was podCIDRs or nodeCIDRs. */
  readonly address: string;
}
export const QUOTE = 0x22;
/** Characters of an address, and bytes of its mask in base64. */
export const MAX_ADDRESS_LENGTH = 64;
const SCRATCH = Buffer.alloc(Math.max(MAX_NAMESPACE_LENGTH, MAX_ADDRESS_LENGTH));

/** The string `json[from, to)`, of at most `length` bytes of ASCII; undefined for anything else. */
export function textOf(json: Buffer, from: number, to: number, length: number): string | undefined {
  if (json[from] !== QUOTE) return undefined;
  const found = asciiOf(json, from + 1, to - 1, SCRATCH);
  return found < 0 || found > length ? undefined : SCRATCH.toString('latin1', 0, found);
}

/** The string `json[from, to)` is an address of `ranges`. */
export function hasAddress(ranges: AddressRanges, json: Buffer, from: number, to: number): boolean {
  const ipv4 = ipv4BitsOfBytes(json, from + 1, to - 1);
  if (ipv4 !== undefined) return ranges.hasIpv4(ipv4);
  const text = textOf(json, from, to, MAX_ADDRESS_LENGTH);
  return text !== undefined && ranges.hasText(text);
}

/** What judges of values with addresses share: the first refusal of a value, by rank, and the address that led to it. */
export class Findings {
  address = '';
  isUnreadable = false;
  #isForeignNamespace = false;
  #outside: 'podCIDRs' | 'nodeCIDRs' | undefined;

  get verdict(): Verdict {
    if (this.isUnreadable) return 'unreadable';
    return this.#isForeignNamespace ? 'namespaces' : this.#outside;
  }

  begin(): void {
    this.isUnreadable = false;
    this.#isForeignNamespace = false;
    this.#outside = undefined;
  }

  foreignNamespace(): void {
    this.#isForeignNamespace = true;
  }

  outside(rule: 'podCIDRs' | 'nodeCIDRs', address: string): void {
    if (this.#outside !== undefined) return;
    this.#outside = rule;
    this.address = address;
  }

  /** The string at `from` is an address of `ranges`, or empty. */
  check(rule: 'podCIDRs' | 'nodeCIDRs', ranges: AddressRanges, json: Buffer, from: number, to: number): void {
    if (json[from] !== QUOTE) this.isUnreadable = true;
    else if (to - from > 2 && !hasAddress(ranges, json, from, to))
      this.outside(rule, textOf(json, from, to, MAX_ADDRESS_LENGTH) ?? '');
  }
}
