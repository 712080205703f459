/** Decides about endpoints, of which there are most: by numbers and bytes, without a string or an object for a key. */
import { ipv4Bits } from '../../shared/ip.ts';
import { maskedPrefix } from '../import-guard/addresses.ts';
import { isNull, isPlain, JsonMembers, uint32Of } from '../import-guard/json-members.ts';
import type { ReadIdentities } from '../import-guard/read-identities.ts';
import { Findings, type Judge, MAX_ADDRESS_LENGTH, QUOTE, textOf, type Verdict } from './judge.ts';
import type { AddressRanges } from './rules/address-ranges.ts';
import { MAX_NAMESPACE_LENGTH, type Namespaces } from './rules/namespaces.ts';
import type { CompiledRule } from './rules/policy.ts';

const NOTHING = Buffer.alloc(0);
const ENDPOINT = new JsonMembers('ip', 'mask', 'hostip', 'id', 'k8snamespace');

export class EndpointJudge implements Judge {
  readonly readsValue: boolean;
  /** Of the value that was read last; 0 where it has none. */
  identity = 0;
  readonly #findings = new Findings();
  readonly #pods: AddressRanges | undefined;
  readonly #nodes: AddressRanges | undefined;
  readonly #namespaces: Namespaces | undefined;
  readonly #identities: ReadIdentities;
  #value: Buffer = NOTHING;
  /** Where the address and the mask are; 0 where there is none. */
  #ipFrom = 0;
  #ipTo = 0;
  #maskFrom = 0;
  #maskTo = 0;
  #hasNamespace = false;
  readonly #visit = (index: number, from: number, to: number) => this.#read(index, from, to);

  constructor({ pods, nodes, namespaces, followsEndpoints }: CompiledRule, identities: ReadIdentities) {
    this.#pods = pods;
    this.#nodes = nodes;
    this.#namespaces = namespaces;
    this.#identities = identities;
    this.readsValue = followsEndpoints || pods !== undefined || nodes !== undefined || namespaces !== undefined;
  }

  get address(): string {
    return this.#findings.address;
  }

  byKey(key: string, from: number): Verdict {
    const ranges = this.#pods;
    if (ranges === undefined) return undefined;
    const ipv4 = ipv4Bits(key, from);
    if (ipv4 === undefined ? ranges.hasText(key.slice(from)) : ranges.hasIpv4(ipv4)) return undefined;
    this.#findings.address = key.slice(from, from + MAX_ADDRESS_LENGTH);
    return 'podCIDRs';
  }

  byValue(value: Buffer): Verdict {
    const findings = this.#findings;
    findings.begin();
    this.#identities.begin(value);
    this.#value = value;
    this.identity = 0;
    this.#ipFrom = 0;
    this.#maskFrom = 0;
    this.#hasNamespace = false;
    if (!ENDPOINT.scan(value, this.#visit)) findings.isUnreadable = true;
    if (this.#namespaces !== undefined && !this.#hasNamespace && !this.#namespaces.allows('')) findings.foreignNamespace();
    if (this.#maskFrom > 0) this.#checkPrefix();
    // It may be a small part of a large message.
    this.#value = NOTHING;
    return findings.verdict;
  }

  #read(index: number, from: number, to: number): void {
    const value = this.#value;
    if (isNull(value, from, to)) return;
    if (index === 0) this.#readIp(from, to);
    else if (index === 1) this.#readMask(from, to);
    else if (index === 2) this.#nodes !== undefined && this.#findings.check('nodeCIDRs', this.#nodes, value, from, to);
    else if (index === 3) this.#readIdentity(from, to);
    else this.#readNamespace(from, to);
  }

  #readIp(from: number, to: number): void {
    if (this.#pods === undefined) return;
    this.#findings.check('podCIDRs', this.#pods, this.#value, from, to);
    this.#ipFrom = from;
    this.#ipTo = to;
  }

  #readMask(from: number, to: number): void {
    if (this.#pods === undefined || to - from <= 2) return;
    this.#maskFrom = from;
    this.#maskTo = to;
    if (textOf(this.#value, from, to, MAX_ADDRESS_LENGTH) === undefined) this.#findings.isUnreadable = true;
  }

  /** The address stands for all with its first bits. */
  #checkPrefix(): void {
    const ip = this.#ipFrom > 0 ? textOf(this.#value, this.#ipFrom, this.#ipTo, MAX_ADDRESS_LENGTH) : undefined;
    const mask = textOf(this.#value, this.#maskFrom, this.#maskTo, MAX_ADDRESS_LENGTH);
    if (ip === undefined || mask === undefined) return;
    const prefix = maskedPrefix(ip, Buffer.from(mask, 'base64'));
    if (prefix === undefined) this.#findings.isUnreadable = true;
    else if (this.#pods?.covers(prefix) === false) this.#findings.outside('podCIDRs', `${ip}/${prefix.length}`);
  }

  #readIdentity(from: number, to: number): void {
    const identity = uint32Of(this.#value, from, to);
    if (identity === undefined) this.#findings.isUnreadable = true;
    else {
      this.identity = identity;
      this.#identities.add(identity);
    }
  }

  #readNamespace(from: number, to: number): void {
    if (this.#namespaces === undefined) return;
    if (this.#value[from] !== QUOTE) {
      this.#findings.isUnreadable = true;
      return;
    }
    this.#hasNamespace = true;
    if (!this.#isAllowed(this.#namespaces, from, to)) this.#findings.foreignNamespace();
  }

  #isAllowed(namespaces: Namespaces, from: number, to: number): boolean {
    if (isPlain(this.#value, from + 1, to - 1)) return namespaces.allowsBytes(this.#value, from + 1, to - 1);
    const name = textOf(this.#value, from, to, MAX_NAMESPACE_LENGTH);
    return name !== undefined && namespaces.allows(name);
  }
}
