/**
 * Strategic merge patch: a merge patch that knows which lists are merged item by item.
 *
 * Understood: `$patch: delete` and `$patch: replace` in maps and list items, `$deleteFromPrimitiveList/x`,
 * and `$setElementOrder/x`, which puts the named items into that order and the others behind them.
 */
import { isList, isObject, type Json, type JsonObject, sameJson, without } from './json.ts';
import type { ListStructure, Structure } from './resource-kind.ts';

const ORDER = '$setElementOrder/';
const DELETE_VALUES = '$deleteFromPrimitiveList/';

/** `target` with `patch` merged into it by the rules of `structure`. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject, structure: Structure): JsonObject {
  return mergeMaps(target, patch, structure, '');
}

function mergeMaps(target: JsonObject, patch: JsonObject, structure: Structure, path: string): JsonObject {
  if (patch.$patch === 'replace') return without(patch, '$patch');
  if (patch.$patch === 'delete') return {};
  const merged = new Map<string, Json>(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) continue;
    const below = path === '' ? name : `${path}.${name}`;
    const current = merged.get(name);
    const list = structure.lists[below];
    if (value === null) merged.delete(name);
    else if (isObject(value)) merged.set(name, mergeMaps(isObject(current) ? current : {}, value, structure, below));
    else if (isList(value) && list !== undefined)
      merged.set(name, mergeLists(isList(current) ? current : [], value, list, structure, below));
    else merged.set(name, value);
  }
  for (const [name, value] of Object.entries(patch)) applyDirective(merged, name, value, structure, path);
  return Object.fromEntries(merged);
}

function mergeLists(
  target: readonly Json[],
  patch: readonly Json[],
  list: ListStructure,
  structure: Structure,
  path: string,
): readonly Json[] {
  if (patch.some((item) => isObject(item) && item.$patch === 'replace'))
    return patch.filter((item) => !isObject(item) || item.$patch === undefined);
  const merged = [...target];
  for (const item of patch) {
    const index = merged.findIndex((each) => isSameItem(each, item, list));
    const current = merged[index];
    if (isObject(item) && item.$patch === 'delete') {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(isObject(item) ? mergeMaps({}, item, structure, path) : item);
    else if (isObject(item) && isObject(current)) merged[index] = mergeMaps(current, item, structure, path);
  }
  return merged;
}

function applyDirective(merged: Map<string, Json>, name: string, value: Json, structure: Structure, path: string): void {
  const field = name.slice(name.indexOf('/') + 1);
  const current = merged.get(field);
  if (!isList(current) || !isList(value)) return;
  if (name.startsWith(DELETE_VALUES)) {
    merged.set(
      field,
      current.filter((item) => !value.some((each) => sameJson(item, each))),
    );
  }
  const list = structure.lists[path === '' ? field : `${path}.${field}`];
  if (name.startsWith(ORDER) && list !== undefined) {
    const place = (item: Json) => {
      const index = value.findIndex((each) => isSameItem(item, each, list));
      return index < 0 ? value.length : index;
    };
    merged.set(
      field,
      current.toSorted((a, b) => place(a) - place(b)),
    );
  }
}

function isSameItem(a: Json, b: Json, list: ListStructure): boolean {
  if (list.type === 'set') return sameJson(a, b);
  return isObject(a) && isObject(b) && sameJson(a[list.mergeKey], b[list.mergeKey]);
}
