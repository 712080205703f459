/**
 * What the API knows of a kind: its names, its rules, and how its lists are merged.
 */
import type { Json } from './json.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import type { Cause } from './status-error.ts';

/**
 * How the items of a list are told apart where the list is not replaced as a whole.
 *
 * `keys` (with the default of a key that is left out) is what server-side apply goes by, `mergeKey` what a
 * strategic merge patch goes by. A list of values is a set.
 */
export type ListStructure =
  | { readonly type: 'map'; readonly keys: Readonly<Record<string, Json | undefined>>; readonly mergeKey: string }
  | { readonly type: 'set' };

/** Lists and maps that are merged other than by default (lists replaced, maps merged). Paths name fields only: `spec.ports`. */
export interface Structure {
  readonly lists: Readonly<Record<string, ListStructure>>;
  readonly atomicMaps: readonly string[];
  /** Nothing is known of the fields: whoever states a field below another one owns that one too. */
  readonly isSchemaless?: boolean;
}

/** What completing an object needs to know of the rest of the cluster. */
export interface Surroundings {
  /** The cluster IPs and node ports other services have. */
  usedClusterIPs(): ReadonlySet<string>;
  usedNodePorts(): ReadonlySet<number>;
  /** Now, as timestamps have it. */
  readonly time: string;
}

export interface KindRules {
  /** `object` with what its author may leave out. `previous` is undefined for a new object. */
  complete(object: KubernetesObject, previous: KubernetesObject | undefined, surroundings: Surroundings): KubernetesObject;
  /** What is wrong with a completed object; empty where it may be stored. */
  check(object: KubernetesObject, previous: KubernetesObject | undefined): readonly Cause[];
}

/** A column of `kubectl get`. Columns of a priority above 0 are for `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly priority: number;
  value(object: KubernetesObject, nowMs: number): string | number;
}

/** What a name of this kind must look like: a DNS label, one that starts with a letter, or a DNS subdomain. */
export type NameRule = 'label' | 'label-1035' | 'subdomain';

export interface ResourceKind {
  /** `services`, `ciliumnodes.cilium.io` */
  readonly id: string;
  /** Empty for the core group. */
  readonly group: string;
  /** The served versions, preferred first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Status is written through a subresource of its own. */
  readonly hasStatus: boolean;
  /** Defined by a CustomResourceDefinition: no strategic merge patch, updates name a resource version. */
  readonly isCustom: boolean;
  /** `metadata.generation` counts the changes of anything but metadata and status. */
  readonly countsGenerations: boolean;
  readonly nameRule: NameRule;
  readonly structure: Structure;
  readonly rules: KindRules;
  readonly columns: readonly Column[];
  /** Fields a field selector may name besides `metadata.name` and `metadata.namespace`. */
  readonly selectableFields: readonly string[];
}

export function apiVersionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** Merging of the metadata every kind has. */
export const METADATA_LISTS: Structure['lists'] = {
  'metadata.finalizers': { type: 'set' },
  'metadata.ownerReferences': { type: 'map', keys: { uid: undefined }, mergeKey: 'uid' },
};

/** For a column that shows a field as it is. */
export function column(
  name: string,
  value: (object: KubernetesObject, nowMs: number) => string | number,
  options: { readonly type?: Column['type']; readonly priority?: number } = {},
): Column {
  return { name, value, type: options.type ?? 'string', priority: options.priority ?? 0 };
}

/** Causes, for rules to say what is wrong in the words of the real API. */
export const cause = {
  required: (field: string, why = ''): Cause => ({
    reason: 'FieldValueRequired',
    message: `Required value${why === '' ? '' : `: ${why}`}`,
    field,
  }),
  invalid: (field: string, value: Json | undefined, why: string): Cause => ({
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${JSON.stringify(value ?? null)}: ${why}`,
    field,
  }),
  unsupported: (field: string, value: Json | undefined, supported: readonly string[]): Cause => ({
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${JSON.stringify(value ?? null)}: supported values: ${supported.map((each) => `"${each}"`).join(', ')}`,
    field,
  }),
  duplicate: (field: string, value: Json | undefined): Cause => ({
    reason: 'FieldValueDuplicate',
    message: `Duplicate value: ${JSON.stringify(value ?? null)}`,
    field,
  }),
};

/** Rules of a kind that needs none beyond those of every object. */
export const NO_RULES: KindRules = { complete: (object) => object, check: () => [] };
