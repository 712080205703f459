/**
 * Listing: selectors, pages, and the revision a list is of.
 *
 * All pages of a list show one revision. The token that leads to the next page carries that revision and
 * the last key; once the revision is compacted the token is worth nothing and the client lists again.
 */

import type { ListMeta } from '../http/representation.ts';
import type { ResourcePath } from '../http/resource-path.ts';
import { badRequest, continueExpired, expired, invalidOptions, tooLargeResourceVersion } from '../http/status-error.ts';
import { MAX_PAGE_OBJECTS } from '../limits.ts';
import type { KubernetesObject } from '../objects/kubernetes-object.ts';
import { nameOf, namespaceOf } from '../objects/kubernetes-object.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { fieldMatcher, labelMatcher, type Matcher } from './selectors.ts';

export interface ObjectPage {
  readonly objects: readonly KubernetesObject[];
  readonly meta: ListMeta;
}

interface Position {
  readonly revision: number;
  /** Keys up to this one have been listed. */
  readonly after: string;
}

/** What of a kind a request is about: its namespace, its name where the path has one, its selectors. */
export function requestMatcher(path: ResourcePath, query: URLSearchParams): Matcher {
  const byLabel = labelMatcher(query.get('labelSelector') ?? '');
  const byField = fieldMatcher(query.get('fieldSelector') ?? '');
  return (object) =>
    (path.namespace === '' || namespaceOf(object) === path.namespace) &&
    (path.name === '' || nameOf(object) === path.name) &&
    byLabel(object) &&
    byField(object);
}

/** One page of the list that `query` asks for. Throws a 410 where its revision is compacted, a 504 where it is still to come. */
export function listObjects(store: ObjectStore, path: ResourcePath, query: URLSearchParams): ObjectPage {
  const matches = requestMatcher(path, query);
  const { revision, after } = positionOf(query, store);
  const entries = store.entriesAt(path.kind.id, revision);
  if (entries === undefined) throw after === '' ? expired(revision, store.compactRevision) : continueExpired();
  const limit = pageLimit(query);
  const objects: KubernetesObject[] = [];
  let last = after;
  let index = after === '' ? 0 : firstAfter(entries, after);
  for (; index < entries.length && objects.length < limit; index += 1) {
    const [key, object] = entries[index] ?? ['', undefined];
    last = key;
    if (object !== undefined && matches(object)) objects.push(object);
  }
  const isUnselected = !query.get('labelSelector') && !query.get('fieldSelector') && path.namespace === '';
  const resourceVersion = String(revision);
  if (index >= entries.length) return { objects, meta: { resourceVersion } };
  const remaining = isUnselected ? { remainingItemCount: entries.length - index } : {};
  return { objects, meta: { resourceVersion, continue: tokenOf({ revision, after: last }), ...remaining } };
}

/** The resource version of a query, undefined where it has none. Throws a 400 for anything that is no number. */
export function askedRevision(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion') ?? '';
  if (text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  return Number(text);
}

function positionOf(query: URLSearchParams, store: ObjectStore): Position {
  const asked = askedRevision(query);
  const match = query.get('resourceVersionMatch') ?? '';
  const token = query.get('continue') ?? '';
  if (token !== '') {
    if (asked !== undefined && asked !== 0) throw badRequest('resourceVersion may not be set together with continue');
    return parseToken(token);
  }
  if (match !== '' && asked === undefined)
    throw invalidOptions(
      'resourceVersionMatch',
      'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    );
  if (!['', 'Exact', 'NotOlderThan'].includes(match))
    throw invalidOptions('resourceVersionMatch', `Unsupported value: "${match}"`);
  if (asked !== undefined && asked > store.revision) throw tooLargeResourceVersion(asked, store.revision);
  return { revision: match === 'Exact' && asked !== undefined ? asked : store.revision, after: '' };
}

/** Like a real API, a list at resource version 0 comes whole: it is answered from a cache that knows no pages. */
function pageLimit(query: URLSearchParams): number {
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`Invalid value: "${query.get('limit')}": limit`);
  return limit === 0 || query.get('resourceVersion') === '0' ? MAX_PAGE_OBJECTS : limit;
}

function firstAfter(entries: readonly (readonly [string, KubernetesObject])[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.[0] ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function tokenOf(position: Position): string {
  return Buffer.from(JSON.stringify([position.revision, position.after])).toString('base64url');
}

function parseToken(token: string): Position {
  try {
    const [revision, after] = JSON.parse(Buffer.from(token, 'base64url').toString()) as unknown[];
    if (typeof revision === 'number' && typeof after === 'string') return { revision, after };
  } catch {
    // Answered below, like any other token that is not ours.
  }
  throw badRequest('continue key is not valid');
}
