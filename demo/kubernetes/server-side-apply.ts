/**
 * Server-side apply: an author states the fields it cares for, and only those.
 *
 * What it stated last time and states no more is taken away, unless somebody else owns it too. A field that
 * another author owns with another value is a conflict, which the author may force.
 */
import { type FieldPath, FieldSet, fieldsOf, itemStep, valueAt, withoutPath, withValue } from './field-set.ts';
import { isList, isObject, type Json, type JsonObject, sameJson } from './json.ts';
import { type KubernetesObject, kubernetesObject } from './kubernetes-object.ts';
import { isManager, type ManagerName, type Ownership, ownershipsOf, withOwnerships } from './managed-fields.ts';
import type { ListStructure, Structure } from './resource-kind.ts';
import { applyConflict } from './status-error.ts';

export interface ApplyRequest {
  /** The stored object, undefined where there is none. */
  readonly live: KubernetesObject | undefined;
  /** What its author states. */
  readonly applied: KubernetesObject;
  readonly author: ManagerName;
  /** Conflicting fields become the author's. */
  readonly force: boolean;
  readonly structure: Structure;
  readonly time: string;
}

/** The object after the apply, with its owners. Throws a 409 that names the owners of conflicting fields. */
export function serverSideApply(request: ApplyRequest): KubernetesObject {
  const { live, applied, author, force, structure, time } = request;
  const stated = fieldsOf(applied, structure);
  const earlier = live === undefined ? [] : ownersOf(live, structure, time);
  const last = earlier.find((each) => isManager(each, author));
  let others = earlier.filter((each) => !isManager(each, author));
  const conflicts = live === undefined ? [] : conflictsOf(live, applied, stated, others, structure);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  const taken = new FieldSet(conflicts.map(({ path }) => path));
  others = others.map((each) => ({ ...each, fields: each.fields.filter((path) => !taken.has(path)) }));

  let kept: JsonObject = live ?? {};
  for (const path of last?.fields ?? []) {
    const isWanted = stated.hasAtOrBelow(path) || others.some((each) => each.fields.hasAtOrBelow(path));
    if (!isWanted) kept = withoutPath(kept, path);
  }
  let object = kubernetesObject(mergeMaps(kept, applied, structure, ''));
  if (structure.isSchemaless === true && live !== undefined) object = withNulls(object, live, stated);
  const isSame = last !== undefined && sameSet(last.fields, stated);
  const ownership = { ...author, apiVersion: applied.apiVersion, time: isSame ? last.time : time, fields: stated };
  const remaining = others.map((each) => ({
    ...each,
    fields: each.fields.filter((path) => valueAt(object, path) !== undefined),
  }));
  return withOwnerships(object, [...remaining, ownership]);
}

/** What nobody owns when it is applied to for the first time was there before, and stays. */
function ownersOf(live: KubernetesObject, structure: Structure, time: string): readonly Ownership[] {
  const owners = ownershipsOf(live);
  if (owners.length > 0) return owners;
  const fields = fieldsOf(live, structure);
  return [{ manager: 'before-first-apply', operation: 'Update', subresource: '', apiVersion: live.apiVersion, time, fields }];
}

/** A map of no schema that is applied empty and so loses all it had is left as null: real API servers do so. */
function withNulls(object: KubernetesObject, live: KubernetesObject, stated: FieldSet): KubernetesObject {
  const isEmptied = (path: FieldPath) => fieldCount(valueAt(object, path)) === 0 && fieldCount(valueAt(live, path)) > 0;
  return [...stated].filter(isEmptied).reduce((each, path) => kubernetesObject(withValue(each, path, null)), object);
}

/** -1 for what is no map. */
function fieldCount(value: Json | undefined): number {
  return isObject(value) ? Object.keys(value).length : -1;
}

interface FieldConflict {
  readonly path: FieldPath;
  readonly owner: Ownership;
}

function conflictsOf(
  live: KubernetesObject,
  applied: KubernetesObject,
  stated: FieldSet,
  others: readonly Ownership[],
  structure: Structure,
): FieldConflict[] {
  return [...stated].flatMap((path) => {
    const [value, wanted] = [valueAt(live, path), valueAt(applied, path)];
    // Items and maps that several authors fill are no values to disagree on; the fields in them are.
    const isShared =
      path.at(-1)?.startsWith('f:') === false || (isObject(wanted) && !structure.atomicMaps.includes(schemaPath(path)));
    if (isShared || value === undefined || sameJson(value, wanted)) return [];
    return others.filter((each) => each.fields.has(path)).map((owner) => ({ path, owner }));
  });
}

function schemaPath(path: FieldPath): string {
  return path
    .filter((step) => step.startsWith('f:'))
    .map((step) => step.slice(2))
    .join('.');
}

function conflictError(conflicts: readonly FieldConflict[]) {
  return applyConflict(
    conflicts.map(({ path, owner }) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${owner.manager}"${owner.operation === 'Update' ? ` using ${owner.apiVersion}` : ''}`,
      field: path.map((step) => (step.startsWith('f:') ? `.${step.slice(2)}` : `[${step.slice(2)}]`)).join(''),
    })),
  );
}

function mergeMaps(live: JsonObject, applied: JsonObject, structure: Structure, path: string): JsonObject {
  const merged = new Map<string, Json>(Object.entries(live));
  for (const [name, value] of Object.entries(applied)) {
    const below = path === '' ? name : `${path}.${name}`;
    merged.set(name, mergeValue(merged.get(name), value, structure, below));
  }
  return Object.fromEntries(merged);
}

function mergeValue(live: Json | undefined, applied: Json, structure: Structure, path: string): Json {
  if (isObject(live) && isObject(applied) && !structure.atomicMaps.includes(path)) {
    return mergeMaps(live, applied, structure, path);
  }
  const list = structure.lists[path];
  if (isList(live) && isList(applied) && list !== undefined) return mergeLists(live, applied, list, structure, path);
  return applied;
}

/** The applied order counts; items that only `live` has keep their place before what followed them. */
function mergeLists(
  live: readonly Json[],
  applied: readonly Json[],
  list: ListStructure,
  structure: Structure,
  path: string,
): readonly Json[] {
  const byStep = new Map(live.map((item) => [itemStep(item, list), item]));
  const appliedSteps = new Set(applied.map((item) => itemStep(item, list)));
  const merged: Json[] = [];
  let next = 0;
  const takeLiveOnly = () => {
    for (; next < live.length; next += 1) {
      const item = live[next] ?? null;
      if (appliedSteps.has(itemStep(item, list))) return;
      merged.push(item);
    }
  };
  for (const item of applied) {
    takeLiveOnly();
    const current = byStep.get(itemStep(item, list));
    merged.push(isObject(current) && isObject(item) ? mergeMaps(current, item, structure, path) : item);
    if (current !== undefined) next += 1;
  }
  takeLiveOnly();
  return merged;
}

function sameSet(a: FieldSet, b: FieldSet): boolean {
  return a.size === b.size && [...a].every((path) => b.has(path));
}
