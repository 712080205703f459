/**
 * What the API knows of a kind: its names, what it fills in, what it refuses.
 */

import type { Cause } from '../http/status-error.ts';
import type { Json } from '../objects/json.ts';
import type { KubernetesObject } from '../objects/kubernetes-object.ts';

/** The field by which the items of a list are told apart in a strategic merge patch, by the path of the list: `spec.ports`. */
export type MergeKeys = Readonly<Record<string, string>>;

/** What completing an object needs to know of the rest of the cluster. */
export interface Surroundings {
  /** The cluster IPs and node ports other services have. */
  usedClusterIPs(): ReadonlySet<string>;
  usedNodePorts(): ReadonlySet<number>;
  /** Now, as timestamps have it. */
  readonly time: string;
}

/** A column of `kubectl get`. Columns of a priority above 0 are for `-o wide`. */
export interface Column {
  readonly name: string;
  readonly priority: number;
  value(object: KubernetesObject, nowMs: number): string | number;
}

export interface ResourceKind {
  /** `services`, `ciliumnodes.cilium.io` */
  readonly id: string;
  /** Empty for the core group. */
  readonly group: string;
  /** The served versions, preferred first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Status is written through a subresource of its own. */
  readonly hasStatus: boolean;
  /** Defined by a CustomResourceDefinition: no strategic merge patch, updates name a resource version. */
  readonly isCustom: boolean;
  /** `metadata.generation` counts the changes of anything but metadata and status. */
  readonly countsGenerations: boolean;
  readonly mergeKeys: MergeKeys;
  readonly columns: readonly Column[];
  /** `object` with what its author may leave out. `previous` is undefined for a new object. */
  complete(object: KubernetesObject, previous: KubernetesObject | undefined, surroundings: Surroundings): KubernetesObject;
  /** What is wrong with a completed object, besides its metadata; empty where it may be stored. */
  check(object: KubernetesObject): readonly Cause[];
}

type OwnOfBuiltIn = Pick<ResourceKind, 'kind' | 'plural' | 'namespaced' | 'columns' | 'complete'>;

/** A kind with nothing special but what is given: of version v1, with a status. */
export function builtInKind(own: OwnOfBuiltIn & Partial<ResourceKind>): ResourceKind {
  const { group = '', plural } = own;
  return {
    id: group === '' ? plural : `${plural}.${group}`,
    group,
    versions: ['v1'],
    storageVersion: 'v1',
    shortNames: [],
    categories: [],
    hasStatus: true,
    isCustom: false,
    countsGenerations: true,
    mergeKeys: {},
    check: () => [],
    ...own,
  };
}

export function apiVersionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** For a column that shows a field as it is. */
export function column(name: string, value: Column['value'], priority = 0): Column {
  return { name, value, priority };
}

/** Causes, for saying what is wrong in the words of the real API. */
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
};
