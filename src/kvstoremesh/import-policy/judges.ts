/**
 * Decides about one key of a remote by a rule: pure functions of key, value and rule.
 *
 * A key is decided by its name as far as possible; only then its value is read, in one pass. A value that would have to be read
 * and cannot be is not imported: it may be anything. Of a member that occurs more than once each occurrence has to pass. Docs
 * list which addresses of which kind are checked (docs/commands/import-policy.md).
 */

import type { MirroredKind } from '../../shared/etcd/keyspace.ts';
import type { Prefix } from '../import-guard/addresses.ts';
import { MAX_CIDR_MEMBERS, readCidrs } from '../import-guard/claims.ts';
import { eachElement, isNull, JsonMembers, MemberCursor } from '../import-guard/json-members.ts';
import type { ReadIdentities } from '../import-guard/read-identities.ts';
import { decodedEndpointSlice } from '../kv/endpoint-slice.ts';
import { EndpointJudge } from './endpoint-judge.ts';
import { Findings, hasAddress, type Judge, MAX_ADDRESS_LENGTH, textOf, type Verdict } from './judge.ts';
import type { AddressRanges } from './rules/address-ranges.ts';
import type { Namespaces } from './rules/namespaces.ts';
import type { CompiledRule } from './rules/policy.ts';

/** `read`: is told the identities of each endpoint whose value is read. */
export function judgeFor(kind: MirroredKind, rule: CompiledRule, read: ReadIdentities): Judge {
  const { namespaces } = rule;
  switch (kind) {
    case 'nodes':
      return new NodeJudge(rule);
    case 'identities':
      return new IdentityJudge(namespaces);
    case 'endpoints':
      return new EndpointJudge(rule, read);
    case 'services':
      return new ServiceJudge(rule, namespaces, outsideOfService);
    case 'endpointslices':
      return new ServiceJudge(rule, namespaces, outsideOfSlice);
    case 'serviceexports':
      return new ServiceJudge(undefined, namespaces, outsideOfService);
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
      if (this.#namespaces?.allowsBytes(value, from, to) === false) return 'namespaces';
    }
    return !hasNamespace && this.#namespaces?.allows('') === false ? 'namespaces' : undefined;
  }
}

/** The first address of a value that is not one of `ranges`; `none` where all are, undefined where the value cannot be read. */
type OutsideBackend = (value: Buffer, ranges: AddressRanges) => string | typeof NONE | undefined;
const NONE = Symbol('no address outside');

class ServiceJudge implements Judge {
  address = '';
  readonly readsValue: boolean;
  readonly #backends: AddressRanges | undefined;
  readonly #namespaces: Namespaces | undefined;
  readonly #outside: OutsideBackend;

  constructor(rule: CompiledRule | undefined, namespaces: Namespaces | undefined, outside: OutsideBackend) {
    this.#backends = rule?.backends;
    this.#namespaces = namespaces;
    this.#outside = outside;
    this.readsValue = this.#backends !== undefined;
  }

  byKey(key: string, from: number): Verdict {
    if (this.#namespaces === undefined) return undefined;
    const slash = key.indexOf('/', from);
    return this.#namespaces.allows(slash < 0 ? '' : key.slice(from, slash)) ? undefined : 'namespaces';
  }

  byValue(value: Buffer): Verdict {
    const ranges = this.#backends;
    if (ranges === undefined) return undefined;
    const outside = this.#outside(value, ranges);
    if (outside === NONE) return undefined;
    if (outside === undefined) return 'unreadable';
    this.address = outside;
    return 'podCIDRs';
  }
}

const SERVICE = new JsonMembers('backends');

/** The names of the members are the addresses. */
const outsideOfService: OutsideBackend = (value, ranges) => {
  let isReadable = true;
  let outside: string | typeof NONE = NONE;
  const backends = new MemberCursor();
  const isObject = SERVICE.scan(value, (_, from, to) => {
    if (isNull(value, from, to)) return;
    backends.open(value, from, to);
    while (backends.next(value)) {
      const { nameFrom, nameTo } = backends;
      if (outside === NONE && !hasAddress(ranges, value, nameFrom - 1, nameTo + 1))
        outside = textOf(value, nameFrom - 1, nameTo + 1, MAX_ADDRESS_LENGTH) ?? '';
    }
    isReadable &&= backends.isComplete;
  });
  return isObject && isReadable ? outside : undefined;
};

const outsideOfSlice: OutsideBackend = (value, ranges) => {
  let slice: { readonly endpoints?: readonly { readonly addresses?: readonly string[] }[] };
  try {
    slice = decodedEndpointSlice(value);
  } catch {
    return undefined;
  }
  for (const { addresses = [] } of slice.endpoints ?? []) {
    for (const address of addresses) {
      const text = address.slice(0, MAX_ADDRESS_LENGTH);
      if (!ranges.hasText(text)) return text;
    }
  }
  return NONE;
};
