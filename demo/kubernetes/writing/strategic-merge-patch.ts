/**
 * Strategic merge patch, as far as `kubectl apply` sends it for the kinds served here: a merge patch that merges some
 * lists item by item, with `$patch: delete` in an item and `$setElementOrder/x`, which puts the named items into that
 * order and the others behind them.
 *
 * kubectl knows the built-in kinds by itself and sends no other patch for them, not even after a 415.
 */

import { badRequest, type StatusError } from '../http/status-error.ts';
import type { MergeKeys } from '../kinds/resource-kind.ts';
import { isList, isObject, type Json, type JsonObject, listOr, objectOr, sameJson } from '../objects/json.ts';

const ORDER = '$setElementOrder/';

/** `target` with `patch` merged into it. Throws a 400 for any other directive. */
export function strategicMergePatch(target: JsonObject, patch: JsonObject, mergeKeys: MergeKeys, path = ''): JsonObject {
  const merged = new Map<string, Json>(Object.entries(target));
  const pathOf = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(ORDER)) continue;
    if (name.startsWith('$')) throw unsupported(name);
    const below = pathOf(name);
    const key = mergeKeys[below];
    if (value === null) merged.delete(name);
    else if (isObject(value)) merged.set(name, strategicMergePatch(objectOr(merged.get(name)), value, mergeKeys, below));
    else if (isList(value) && key !== undefined) {
      const mergeItem = (current: JsonObject, item: JsonObject) => strategicMergePatch(current, item, mergeKeys, below);
      merged.set(name, mergedItems(listOr(merged.get(name)), value, key, mergeItem));
    } else merged.set(name, value);
  }
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith(ORDER)) continue;
    const field = name.slice(ORDER.length);
    const key = mergeKeys[pathOf(field)];
    if (key === undefined) throw unsupported(name);
    const items = merged.get(field);
    if (isList(items)) merged.set(field, ordered(items, listOr(order), key));
  }
  return Object.fromEntries(merged);
}

function mergedItems(
  target: readonly Json[],
  patch: readonly Json[],
  key: string,
  mergeItem: (current: JsonObject, item: JsonObject) => JsonObject,
): readonly Json[] {
  const merged = [...target];
  for (const item of patch.filter(isObject)) {
    const index = merged.findIndex((each) => isSameItem(each, item, key));
    if (item.$patch === 'delete') {
      if (index >= 0) merged.splice(index, 1);
    } else if (index < 0) merged.push(mergeItem({}, item));
    else merged[index] = mergeItem(objectOr(merged[index]), item);
  }
  return merged;
}

function ordered(items: readonly Json[], order: readonly Json[], key: string): readonly Json[] {
  const place = (item: Json) => {
    const index = order.findIndex((each) => isSameItem(item, each, key));
    return index < 0 ? order.length : index;
  };
  return items.toSorted((a, b) => place(a) - place(b));
}

function isSameItem(a: Json, b: Json, key: string): boolean {
  return isObject(a) && isObject(b) && sameJson(a[key], b[key]);
}

function unsupported(directive: string): StatusError {
  return badRequest(`the directive "${directive}" of a strategic merge patch is not supported; use a merge patch`);
}
