/**
 * JSON from the API server, one object at a time, and the fields common to all kinds:
 * name, namespace and resource version.
 */
import { KubeDecodeError } from '../errors.ts';
import type { ObjectId } from './types.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

/** Numbers of fewer digits are exact. */
const LONG_NUMBER_DIGITS = 16;
/** Of integers of 64 bits; longer ones are no field of an API, and costly to read. */
const LONG_INTEGER = /^-?\d{16,20}$/;

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** TypeScript does not declare yet that a reviver receives the source text of a number. */
const parseExactly = JSON.parse as (text: string, reviver: Reviver) => unknown;

/**
 * Parses `text`. An integer that a number does not represent exactly, as Go's int64 fields may have it, becomes a bigint.
 *
 * Throws KubeDecodeError, which includes `what` but never the text.
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return hasLongNumber(text) ? parseLongNumbers(text) : JSON.parse(text);
  } catch {
    throw new KubeDecodeError(`${what}: ${text.length} characters are not JSON`);
  }
}

function parseLongNumbers(text: string): unknown {
  try {
    return parseExactly(text, exactInteger);
  } catch {
    // Nested too deeply for a reviver, which no supported object is; or not JSON.
    return JSON.parse(text);
  }
}

function exactInteger(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  return source !== undefined && LONG_INTEGER.test(source) ? BigInt(source) : value;
}

/** Whether `text` has so many consecutive digits: such a run covers one of the sampled positions, which are as far apart. */
function hasLongNumber(text: string): boolean {
  for (let at = LONG_NUMBER_DIGITS - 1; at < text.length; at += LONG_NUMBER_DIGITS) {
    if (!isDigit(text, at)) continue;
    let first = at;
    while (at - first < LONG_NUMBER_DIGITS && isDigit(text, first - 1)) first -= 1;
    let last = at;
    while (last - first < LONG_NUMBER_DIGITS && isDigit(text, last + 1)) last += 1;
    if (last - first + 1 >= LONG_NUMBER_DIGITS) return true;
  }
  return false;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

/** `value` as a record; an empty one where it is anything else. */
export function recordOf(value: unknown): JsonRecord {
  return typeof value === 'object' && value !== null ? (value as JsonRecord) : {};
}

/** The name of an object of any kind. Throws KubeDecodeError where it has none. */
export function objectId(raw: unknown): ObjectId {
  const { name, namespace } = recordOf(recordOf(raw).metadata);
  if (typeof name !== 'string' || name === '') throw new KubeDecodeError('an object has no metadata.name');
  if (typeof namespace !== 'string' || namespace === '') return { name, namespace: '', text: name };
  // Not a template: V8 would keep its parts too, as long as the text is the key of a map.
  return { name, namespace, text: [namespace, name].join('/') };
}

/** The id with this text. */
export function objectIdOf(text: string): ObjectId {
  const slash = text.indexOf('/');
  return { namespace: text.slice(0, Math.max(slash, 0)), name: text.slice(slash + 1), text };
}

/** The resource version of an object or of a list. Throws KubeDecodeError where it has none. */
export function resourceVersion(raw: unknown): string {
  const version = recordOf(recordOf(raw).metadata).resourceVersion;
  if (typeof version !== 'string' || version === '') throw new KubeDecodeError('an object has no metadata.resourceVersion');
  return version;
}
