/**
 * Decides about one key of a remote by a rule: pure functions of key, value and rule.
 *
 * A key is decided by its name as far as possible; only then its value is read, in one pass. A value that would have to be read
 * and cannot be is not imported: it may be anything. Of a member that occurs more than once each occurrence has to pass. Docs
 * list which addresses of which kind are checked (docs/commands/import-policy.md).
 */
import { ipv4Bits } from '../../shared/ip.ts';
import { maskedPrefix, type Prefix } from '../import-guard/addresses.ts';
import { MAX_CIDR_MEMBERS, readCidrs } from '../import-guard/claims.ts';
import { asciiOf, eachElement, eachMember, isNull, JsonMembers, uint32Of } from '../import-guard/json-members.ts';
import { decodedEndpointSlice } from '../kv/endpoint-slice.ts';
import type { MirroredKind } from '../kv/kinds.ts';
import type { AddressRanges } from './rules/address-ranges.ts';
import { MAX_NAMESPACE_LENGTH, Namespaces } from './rules/namespaces.ts';
import type { CompiledRule } from './rules/policy.ts';

export const REFUSALS = ['namespaces', 'podCIDRs', 'nodeCIDRs', 'unused', 'unreadable'] as const;
/** Why a key is not imported: the member of the rule; no imported endpoint uses the identity; the value cannot be read. */
export type PolicyRefusal = (typeof REFUSALS)[number];

/** Undefined: the key is imported. */
export type Verdict = PolicyRefusal | undefined;

/** Decides about the keys of one kind; not reentrant. */
export interface Judge {
  /** The value has to be read where `byKey` refuses nothing. */
  readonly readsValue: boolean;
  /** `own`: the key behind the prefix of its kind and cluster. */
  byKey(own: string): Verdict;
  byValue(value: Buffer): Verdict;
  /** The address for which the last verdict was podCIDRs or nodeCIDRs. */
  readonly address: string;
}

export function judgeFor(kind: MirroredKind, rule: CompiledRule): Judge {
  const namespaces = rule.namespaces && new Namespaces(rule.namespaces);
  switch (kind) {
    case 'nodes':
      return new NodeJudge(rule);
    case 'identities':
      return new IdentityJudge(namespaces);
    case 'endpoints':
      return new EndpointJudge(rule, namespaces);
    case 'services':
      return new ServiceJudge(rule, namespaces, backendsOfService);
    case 'endpointslices':
      return new ServiceJudge(rule, namespaces, backendsOfSlice);
    case 'serviceexports':
      return new ServiceJudge(undefined, namespaces, backendsOfService);
  }
}

const NOTHING = Buffer.alloc(0);
const QUOTE = 0x22;
/** Characters of an address, and bytes of its mask in base64. */
const MAX_ADDRESS_LENGTH = 64;
const SCRATCH = Buffer.alloc(Math.max(MAX_NAMESPACE_LENGTH, MAX_ADDRESS_LENGTH));

/** The string `json[from, to)`, of at most `length` bytes of ASCII; undefined for anything else. */
function textOf(json: Buffer, from: number, to: number, length: number): string | undefined {
  if (json[from] !== QUOTE) return undefined;
  const found = asciiOf(json, from + 1, to - 1, SCRATCH);
  return found < 0 || found > length ? undefined : SCRATCH.toString('latin1', 0, found);
}

/** What judges of values with addresses share: the first refusal of a value, by rank, and the address that led to it. */
class Findings {
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
    else if (to - from > 2) {
      const text = textOf(json, from, to, MAX_ADDRESS_LENGTH);
      if (text === undefined || !ranges.hasText(text)) this.outside(rule, text ?? '');
    }
  }
}

const ENDPOINT = new JsonMembers('ip', 'mask', 'hostip', 'id', 'k8snamespace');

export class EndpointJudge implements Judge {
  readonly readsValue: boolean;
  /** Of the value that was read last; 0 where it has none. */
  identity = 0;
  readonly #findings = new Findings();
  readonly #pods: AddressRanges | undefined;
  readonly #nodes: AddressRanges | undefined;
  readonly #namespaces: Namespaces | undefined;
  #value: Buffer = NOTHING;
  #ip: string | undefined;
  #mask: string | undefined;
  #hasNamespace = false;
  readonly #visit = (index: number, from: number, to: number) => this.#read(index, from, to);

  constructor({ pods, nodes, followsEndpoints }: CompiledRule, namespaces: Namespaces | undefined) {
    this.#pods = pods;
    this.#nodes = nodes;
    this.#namespaces = namespaces;
    this.readsValue = followsEndpoints || pods !== undefined || nodes !== undefined || namespaces !== undefined;
  }

  get address(): string {
    return this.#findings.address;
  }

  byKey(own: string): Verdict {
    const ranges = this.#pods;
    if (ranges === undefined) return undefined;
    const ipv4 = ipv4Bits(own);
    if (ipv4 === undefined ? ranges.hasText(own) : ranges.hasIpv4(ipv4)) return undefined;
    this.#findings.address = own.slice(0, MAX_ADDRESS_LENGTH);
    return 'podCIDRs';
  }

  byValue(value: Buffer): Verdict {
    const findings = this.#findings;
    findings.begin();
    this.#value = value;
    this.identity = 0;
    this.#ip = undefined;
    this.#mask = undefined;
    this.#hasNamespace = false;
    if (!ENDPOINT.scan(value, this.#visit)) findings.isUnreadable = true;
    // It may be a small part of a large message.
    this.#value = NOTHING;
    if (this.#namespaces !== undefined && !this.#hasNamespace && !this.#namespaces.allows('')) findings.foreignNamespace();
    if (this.#mask !== undefined && this.#ip !== undefined) this.#checkPrefix(this.#ip, this.#mask);
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
    this.#ip = textOf(this.#value, from, to, MAX_ADDRESS_LENGTH);
  }

  #readMask(from: number, to: number): void {
    if (this.#pods === undefined || to - from <= 2) return;
    this.#mask = textOf(this.#value, from, to, MAX_ADDRESS_LENGTH);
    if (this.#mask === undefined) this.#findings.isUnreadable = true;
  }

  /** The address stands for all with its first bits. */
  #checkPrefix(ip: string, mask: string): void {
    const prefix = maskedPrefix(ip, Buffer.from(mask, 'base64'));
    if (prefix === undefined) this.#findings.isUnreadable = true;
    else if (this.#pods?.covers(prefix) === false) this.#findings.outside('podCIDRs', `${ip}/${prefix.length}`);
  }

  #readIdentity(from: number, to: number): void {
    const identity = uint32Of(this.#value, from, to);
    if (identity === undefined) this.#findings.isUnreadable = true;
    else this.identity = identity;
  }

  #readNamespace(from: number, to: number): void {
    if (this.#namespaces === undefined) return;
    if (this.#value[from] !== QUOTE) {
      this.#findings.isUnreadable = true;
      return;
    }
    this.#hasNamespace = true;
    const name = textOf(this.#value, from, to, MAX_NAMESPACE_LENGTH);
    if (name === undefined || !this.#namespaces.allows(name)) this.#findings.foreignNamespace();
  }
}

const NODE = new JsonMembers(
  'ipaddresses',
  'ipv4alloccidr',
  'ipv4secondaryalloccidrs',
  'ipv6alloccidr',
  'ipv6secondaryalloccidrs',
  'ipv4healthip',
  'ipv6healthip',
  'ipv4ingressip',
  'ipv6ingressip',
);
const ADDRESS = new JsonMembers('type', 'ip');
/** Addresses of a node that Cilium takes from the pod CIDRs. */
const POD_ADDRESS_TYPE = 'CiliumInternalIP';

class NodeJudge implements Judge {
  readonly readsValue: boolean;
  readonly #findings = new Findings();
  readonly #pods: AddressRanges | undefined;
  readonly #nodes: AddressRanges | undefined;

  constructor({ pods, nodes }: CompiledRule) {
    this.#pods = pods;
    this.#nodes = nodes;
    this.readsValue = pods !== undefined || nodes !== undefined;
  }

  get address(): string {
    return this.#findings.address;
  }

  byKey(): Verdict {
    return undefined;
  }

  byValue(value: Buffer): Verdict {
    const findings = this.#findings;
    findings.begin();
    const cidrs: Prefix[] = [];
    let members = 0;
    const isObject = NODE.scan(value, (index, from, to) => {
      if (isNull(value, from, to)) return;
      if (index === 0) this.#readAddresses(value, from, to);
      else if (this.#pods === undefined) return;
      else if (index > 4) findings.check('podCIDRs', this.#pods, value, from, to);
      else {
        members += 1;
        if (members > MAX_CIDR_MEMBERS || !readCidrs(value, from, to, cidrs)) findings.isUnreadable = true;
      }
    });
    if (!isObject) findings.isUnreadable = true;
    for (const { bytes, length } of cidrs)
      if (this.#pods?.covers({ bytes, length }) === false) findings.outside('podCIDRs', `a prefix of ${length} bits`);
    return findings.verdict;
  }

  #readAddresses(value: Buffer, start: number, end: number): void {
    const findings = this.#findings;
    const isList = eachElement(
      value,
      (from, to) => {
        if (!isNull(value, from, to) && !this.#readAddress(value, from, to)) findings.isUnreadable = true;
      },
      start,
      end,
    );
    if (!isList) findings.isUnreadable = true;
  }

  /** False where it is no object. Its type may follow its address. */
  #readAddress(value: Buffer, start: number, end: number): boolean {
    const found: [from: number, to: number][] = [];
    let isPodAddress = false;
    let isNodeAddress = false;
    const visit = (index: number, from: number, to: number) => {
      if (isNull(value, from, to)) return;
      if (index === 1) found.push([from, to]);
      else if (textOf(value, from, to, MAX_ADDRESS_LENGTH) === POD_ADDRESS_TYPE) isPodAddress = true;
      else isNodeAddress = true;
    };
    if (!ADDRESS.scan(value, visit, start, end)) return false;
    for (const [from, to] of found) {
      if (isPodAddress && this.#pods !== undefined) this.#findings.check('podCIDRs', this.#pods, value, from, to);
      if ((isNodeAddress || !isPodAddress) && this.#nodes !== undefined)
        this.#findings.check('nodeCIDRs', this.#nodes, value, from, to);
    }
    return true;
  }
}

/** `k8s:io.kubernetes.pod.namespace=shop;` among labels that end with a semicolon each. */
const NAMESPACE_LABEL = Buffer.from('k8s:io.kubernetes.pod.namespace=');
const SEMICOLON = 0x3b;

class IdentityJudge implements Judge {
  readonly address = '';
  readonly readsValue: boolean;
  readonly #namespaces: Namespaces | undefined;

  constructor(namespaces: Namespaces | undefined) {
    this.#namespaces = namespaces;
    this.readsValue = namespaces !== undefined;
  }

  byKey(): Verdict {
    return undefined;
  }

  byValue(value: Buffer): Verdict {
    let hasNamespace = false;
    let at = value.indexOf(NAMESPACE_LABEL);
    for (; at >= 0; at = value.indexOf(NAMESPACE_LABEL, at + NAMESPACE_LABEL.length)) {
      if (at > 0 && value[at - 1] !== SEMICOLON) continue;
      hasNamespace = true;
      const from = at + NAMESPACE_LABEL.length;
      const end = value.indexOf(SEMICOLON, from);
      const to = end < 0 ? value.length : end;
      const isName = to - from <= MAX_NAMESPACE_LENGTH;
      if (!isName || this.#namespaces?.allows(value.toString('latin1', from, to)) === false) return 'namespaces';
    }
    return !hasNamespace && this.#namespaces?.allows('') === false ? 'namespaces' : undefined;
  }
}

/** Calls with each address of a value; false where it cannot be read. */
type Backends = (value: Buffer, visit: (address: string | undefined) => void) => boolean;

class ServiceJudge implements Judge {
  address = '';
  readonly readsValue: boolean;
  readonly #backends: AddressRanges | undefined;
  readonly #namespaces: Namespaces | undefined;
  readonly #read: Backends;

  constructor(rule: CompiledRule | undefined, namespaces: Namespaces | undefined, read: Backends) {
    this.#backends = rule?.backends;
    this.#namespaces = namespaces;
    this.#read = read;
    this.readsValue = this.#backends !== undefined;
  }

  byKey(own: string): Verdict {
    if (this.#namespaces === undefined) return undefined;
    const slash = own.indexOf('/');
    return this.#namespaces.allows(slash < 0 ? '' : own.slice(0, slash)) ? undefined : 'namespaces';
  }

  byValue(value: Buffer): Verdict {
    const ranges = this.#backends;
    if (ranges === undefined) return undefined;
    let isInside = true;
    const isReadable = this.#read(value, (address) => {
      if (address !== undefined && ranges.hasText(address)) return;
      if (isInside) this.address = address ?? '';
      isInside = false;
    });
    if (!isReadable) return 'unreadable';
    return isInside ? undefined : 'podCIDRs';
  }
}

const SERVICE = new JsonMembers('backends');

const backendsOfService: Backends = (value, visit) => {
  let isReadable = true;
  const isObject = SERVICE.scan(value, (_, from, to) => {
    if (isNull(value, from, to)) return;
    const name = (nameFrom: number, nameTo: number) => visit(textOf(value, nameFrom - 1, nameTo + 1, MAX_ADDRESS_LENGTH));
    isReadable = eachMember(value, name, from, to) && isReadable;
  });
  return isObject && isReadable;
};

const backendsOfSlice: Backends = (value, visit) => {
  let slice: { readonly endpoints?: readonly { readonly addresses?: readonly string[] }[] };
  try {
    slice = decodedEndpointSlice(value);
  } catch {
    return false;
  }
  for (const { addresses = [] } of slice.endpoints ?? [])
    for (const address of addresses) visit(address.slice(0, MAX_ADDRESS_LENGTH));
  return true;
};
