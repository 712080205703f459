/**
 * JSON patch (RFC 6902) and JSON merge patch (RFC 7386).
 */
import { isList, isObject, type Json, type JsonObject, sameJson } from './json.ts';
import { MAX_PATCH_OPERATIONS } from './limits.ts';
import { badRequest, StatusError } from './status-error.ts';

/** `target` with `patch` merged into it: null takes a field away, objects merge, all else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged = new Map<string, Json>(Object.entries(isObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/** `target` after the operations of `patch`. Throws a 400 for a patch that is none, a 422 for one that does not fit. */
export function jsonPatch(target: JsonObject, patch: Json): Json {
  if (!isList(patch)) throw badRequest('a JSON patch is a list of operations');
  if (patch.length > MAX_PATCH_OPERATIONS)
    throw new StatusError(413, 'RequestEntityTooLarge', `a JSON patch may have ${MAX_PATCH_OPERATIONS} operations`);
  return patch.reduce<Json>((document, operation) => applyOperation(document, operation), target);
}

function applyOperation(document: Json, operation: Json): Json {
  if (!isObject(operation)) throw badRequest('an operation of a JSON patch is an object');
  const { op, path, from, value } = operation;
  const target = pointer(path);
  switch (op) {
    case 'add':
      return edit(document, target, () => defined(value), true);
    case 'replace':
      return edit(document, target, () => defined(value), false);
    case 'remove':
      return edit(document, target, () => undefined, false);
    case 'copy':
      return edit(document, target, () => valueAt(document, pointer(from)), true);
    case 'move':
      return edit(
        edit(document, pointer(from), () => undefined, false),
        target,
        () => valueAt(document, pointer(from)),
        true,
      );
    case 'test':
      if (!sameJson(valueAt(document, target), defined(value))) throw unfitting(`testing value ${String(path)} failed`);
      return document;
    default:
      throw badRequest(`unknown operation "${String(op)}" in a JSON patch`);
  }
}

function pointer(path: Json | undefined): string[] {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/')))
    throw badRequest(`"${String(path)}" is no JSON pointer`);
  return path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function valueAt(document: Json, path: readonly string[]): Json {
  let current: Json | undefined = document;
  for (const part of path) {
    if (isList(current)) current = current[position(current, part, false)];
    else current = isObject(current) && Object.hasOwn(current, part) ? current[part] : undefined;
    if (current === undefined) throw unfitting(`there is nothing at /${path.join('/')}`);
  }
  return current;
}

/** `document` with the value at `path` made by `make`; undefined removes it. `adds` inserts into lists and makes new fields. */
function edit(document: Json, path: readonly string[], make: () => Json | undefined, adds: boolean): Json {
  const [head, ...rest] = path;
  if (head === undefined) return make() ?? null;
  if (isList(document)) {
    const index = position(document, head, adds && rest.length === 0);
    if (rest.length > 0) return document.with(index, edit(document[index] ?? null, rest, make, adds));
    const value = make();
    return document.toSpliced(index, adds ? 0 : 1, ...(value === undefined ? [] : [value]));
  }
  if (!isObject(document)) throw unfitting(`there is nothing at /${path.join('/')}`);
  const isThere = Object.hasOwn(document, head);
  if (!isThere && (rest.length > 0 || !adds)) throw unfitting(`there is no field "${head}"`);
  const value = rest.length > 0 ? edit(document[head] ?? null, rest, make, adds) : make();
  const fields = new Map<string, Json>(Object.entries(document));
  if (value === undefined) fields.delete(head);
  else fields.set(head, value);
  return Object.fromEntries(fields);
}

function position(list: readonly Json[], part: string, mayAppend: boolean): number {
  if (part === '-' && mayAppend) return list.length;
  const index = /^(0|[1-9]\d*)$/.test(part) ? Number(part) : -1;
  if (index < 0 || index >= list.length + (mayAppend ? 1 : 0)) throw unfitting(`there is no item ${part}`);
  return index;
}

function defined(value: Json | undefined): Json {
  if (value === undefined) throw badRequest('an operation of a JSON patch lacks its value');
  return value;
}

function unfitting(why: string): StatusError {
  return new StatusError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`);
}
