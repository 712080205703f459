/** The import policy: what of which cluster is imported. */

import { MIRRORED_KINDS, type MirroredKind } from '../../../shared/etcd/keyspace.ts';
import type { Prefix } from '../../import-guard/addresses.ts';
import type { MappingName } from '../../mappings.ts';
import { AddressRanges } from './address-ranges.ts';
import { Glob, NameRules } from './glob.ts';
import { Namespaces } from './namespaces.ts';

/** Limits of a cluster; undefined where the flags decide, 0 for none. */
export interface PolicyQuota {
  readonly keys: number | undefined;
  readonly bytes: number | undefined;
  readonly changesPerSecond: number | undefined;
}

/** One entry of the file. What is undefined restricts nothing. */
export interface ClusterRule {
  readonly match: string;
  readonly kinds: readonly MirroredKind[] | undefined;
  readonly namespaces: { readonly allow: readonly string[] | undefined; readonly deny: readonly string[] } | undefined;
  readonly podCIDRs: readonly Cidr[] | undefined;
  readonly nodeCIDRs: readonly Cidr[] | undefined;
  readonly quota: PolicyQuota;
}

export interface Cidr {
  readonly text: string;
  readonly prefix: Prefix;
}

/** In the order of the file. */
export type ImportPolicy = readonly ClusterRule[];

/** An entry with what decides by it. */
export class CompiledRule {
  readonly rule: ClusterRule;
  /** Undefined where any passes; so are the others. */
  readonly namespaces: Namespaces | undefined;
  readonly pods: AddressRanges | undefined;
  readonly nodes: AddressRanges | undefined;
  /** Of backends: Pods of the host network have the address of their node. Undefined where any address may be a Pod's. */
  readonly backends: AddressRanges | undefined;
  readonly #kinds: ReadonlySet<MirroredKind>;

  constructor(rule: ClusterRule) {
    this.rule = rule;
    const { namespaces, podCIDRs, nodeCIDRs } = rule;
    const globs = (texts: readonly string[]) => texts.map((text) => new Glob(text));
    this.namespaces =
      namespaces && new Namespaces(new NameRules(namespaces.allow && globs(namespaces.allow), globs(namespaces.deny)));
    this.pods = rangesOf(podCIDRs);
    this.nodes = rangesOf(nodeCIDRs);
    this.backends = podCIDRs && rangesOf([...podCIDRs, ...(nodeCIDRs ?? [])]);
    this.#kinds = new Set(rule.kinds ?? MIRRORED_KINDS);
  }

  imports(kind: MirroredKind): boolean {
    return this.#kinds.has(kind);
  }

  /** Identities are imported while an imported endpoint uses them: some endpoints are not imported, or may not be. */
  get followsEndpoints(): boolean {
    const restrictsEndpoints = this.namespaces !== undefined || this.pods !== undefined || this.nodes !== undefined;
    return restrictsEndpoints && this.imports('endpoints') && this.imports('identities');
  }

  /** True where every key is decided alike by both; their quotas may differ. */
  decidesLike(other: CompiledRule): boolean {
    const { match: _, quota: __, ...mine } = this.rule;
    const { match: ___, quota: ____, ...others } = other.rule;
    return JSON.stringify(mine, textOfCidr) === JSON.stringify(others, textOfCidr);
  }
}

function textOfCidr(_name: string, value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'prefix' in value ? (value as Cidr).text : value;
}

function rangesOf(cidrs: readonly Cidr[] | undefined): AddressRanges | undefined {
  return cidrs && new AddressRanges(cidrs.map(({ prefix }) => prefix));
}

/** The first rule that matches; undefined where none does, and everything of the cluster is imported. */
export function ruleFor(policy: ImportPolicy, cluster: string): CompiledRule | undefined {
  const found = policy.find(({ match }) => new Glob(match).matches(cluster));
  return found && new CompiledRule(found);
}

const KIND_OF: Readonly<Record<MappingName, MirroredKind>> = {
  nodes: 'nodes',
  identities: 'identities',
  endpoints: 'endpoints',
  services: 'services',
  'endpoint slices': 'endpointslices',
  'service exports': 'serviceexports',
};

/** As the policy names a kind. */
export function policyKind(name: MappingName): MirroredKind {
  return KIND_OF[name];
}
