/**
 * JSON values as the API holds them: never changed in place, so that the store, its history and
 * every reader can share them.
 */
import { isDeepStrictEqual } from 'node:util';
import { badRequest } from '../http/status-error.ts';
import { MAX_DEPTH } from '../limits.ts';

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** `value` where it is an object, else an empty one. */
export function objectOr(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** `value` where it is a list, else an empty one. */
export function listOr(value: Json | undefined): readonly Json[] {
  return isList(value) ? value : [];
}

/** `value` where it is text, else undefined. */
export function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The value at `path`, undefined where a step is missing. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let current = value;
  for (const name of path) {
    if (!isObject(current) || !Object.hasOwn(current, name)) return undefined;
    current = current[name];
  }
  return current;
}

/** `object` with `fields` over it; a field of value undefined is taken away. */
export function withFields(object: JsonObject, fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  const entries = new Map<string, Json>(Object.entries(object));
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) entries.delete(name);
    else entries.set(name, value);
  }
  return Object.fromEntries(entries);
}

/** `object` without the named fields. */
export function without(object: JsonObject, ...names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

/** `value` without fields of value null, at every level. Lists keep theirs. */
export function withoutNulls(value: Json): Json {
  if (isList(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== null)
      .map(([name, field]) => [name, withoutNulls(field)]),
  );
}

export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  return isDeepStrictEqual(a, b);
}

/** Parses a JSON text from outside. Throws a 400 where it is none, or too deep. */
export function parseJson(text: string): Json {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw badRequest(`the body is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  refuseDepth(value, 0);
  return value;
}

function refuseDepth(value: Json, depth: number): void {
  if (depth > MAX_DEPTH) throw badRequest(`the body is deeper than ${MAX_DEPTH} levels`);
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) refuseDepth(child, depth + 1);
}
