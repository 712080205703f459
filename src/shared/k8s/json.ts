/**
 * JSON from the API server, one object at a time, and the little that is read of an object whatever
 * its kind: who it is and which version of itself.
 */
import { KubeDecodeError } from './errors.ts';
import type { ObjectId } from './types.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

/** What `text` says. Throws KubeDecodeError, which names `what` but never quotes the text. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new KubeDecodeError(`${what}: ${text.length} characters are not JSON`);
  }
}

/** `value` as a record; an empty one where it is anything else. */
export function recordOf(value: unknown): JsonRecord {
  return typeof value === 'object' && value !== null ? (value as JsonRecord) : {};
}

/** The name of an object of any kind. Throws KubeDecodeError where it has none. */
export function objectId(raw: unknown): ObjectId {
  const { name, namespace } = recordOf(recordOf(raw).metadata);
  if (typeof name !== 'string' || name === '') throw new KubeDecodeError('an object has no metadata.name');
  return { name, namespace: typeof namespace === 'string' ? namespace : '' };
}

/** The resource version of an object or of a list. Throws KubeDecodeError where it has none. */
export function resourceVersion(raw: unknown): string {
  const version = recordOf(recordOf(raw).metadata).resourceVersion;
  if (typeof version !== 'string' || version === '') throw new KubeDecodeError('an object has no metadata.resourceVersion');
  return version;
}
