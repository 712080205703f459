/**
 * Who owns which fields of an object: the entries of `metadata.managedFields`.
 *
 * A manager has one entry for what it applied and one for what it changed otherwise, apart for the status
 * subresource. Whoever changes a field without applying it takes it from all others.
 */
import { FieldSet, fieldsOf, fromFieldsV1, toFieldsV1, valueAt } from './field-set.ts';
import { isObject, type JsonObject, listOr, objectOr, sameJson, textOf } from './json.ts';
import { type KubernetesObject, withMetadata } from './kubernetes-object.ts';
import { MAX_FIELD_MANAGERS } from './limits.ts';
import type { Structure } from './resource-kind.ts';

export interface ManagerName {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  /** `status`, or empty. */
  readonly subresource: string;
}

export interface Ownership extends ManagerName {
  readonly apiVersion: string;
  readonly time: string;
  readonly fields: FieldSet;
}

export function ownershipsOf(object: KubernetesObject): readonly Ownership[] {
  return listOr(object.metadata.managedFields)
    .filter(isObject)
    .map((entry) => ({
      manager: textOf(entry.manager) ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      subresource: textOf(entry.subresource) ?? '',
      apiVersion: textOf(entry.apiVersion) ?? '',
      time: textOf(entry.time) ?? '',
      fields: fromFieldsV1(objectOr(entry.fieldsV1)),
    }));
}

/** `object` owned as told. Managers that own nothing any more are forgotten, and the oldest above the limit. */
export function withOwnerships(object: KubernetesObject, ownerships: readonly Ownership[]): KubernetesObject {
  const kept = ownerships.filter(({ fields }) => fields.size > 0).slice(-MAX_FIELD_MANAGERS);
  const entries = kept.map(
    ({ manager, operation, apiVersion, time, fields, subresource }): JsonObject => ({
      manager,
      operation,
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource === '' ? {} : { subresource }),
    }),
  );
  return withMetadata(object, { managedFields: entries.length === 0 ? undefined : entries });
}

export function isManager(a: ManagerName, b: ManagerName): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource;
}

/** `object` after `author` changed it from `previous` by other means than apply: what differs is the author's now. */
export function withUpdatedOwnership(
  object: KubernetesObject,
  previous: KubernetesObject | undefined,
  author: ManagerName,
  structure: Structure,
  time: string,
): KubernetesObject {
  const now = fieldsOf(object, structure);
  const changed = now.filter((path) => previous === undefined || !sameJson(valueAt(object, path), valueAt(previous, path)));
  const earlier = previous === undefined ? [] : ownershipsOf(previous);
  const own = earlier.find((each) => isManager(each, author))?.fields ?? new FieldSet();
  const others = earlier
    .filter((each) => !isManager(each, author))
    .map((each) => ({ ...each, fields: each.fields.filter((path) => isThere(object, path) && !changed.has(path)) }));
  const fields = own.filter((path) => isThere(object, path)).union(changed);
  return withOwnerships(object, [...others, { ...author, apiVersion: object.apiVersion, time, fields }]);
}

function isThere(object: KubernetesObject, path: readonly string[]): boolean {
  return valueAt(object, path) !== undefined;
}
