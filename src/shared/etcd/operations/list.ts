/**
 * Everything below a prefix, page by page, as it was at one revision.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { DEFAULT_LIST_PAGE, ETCD_LIST_TIMEOUT_MS, EVENTS_PER_SLICE } from '../../limits.ts';
import type { Transport } from '../connection/transport.ts';
import { MalformedResponseError, ResponseTooLargeError } from '../errors.ts';
import { ALL_KEYS, type EtcdKey, type KeyValue, type ListOptions, type ListPage, prefixEnd, type Revision } from '../types.ts';
import { decodeRange, type RangeAnswer } from '../wire/codec.ts';
import { encodeRange, firstBelow, RANGE } from '../wire/methods.ts';

/**
 * etcd counts all remaining keys for each page, so many small pages of a large prefix take quadratic time: a million keys in pages of a
 * thousand took a hundred seconds. Pages grow up to this factor, and to a hundredth of the keys.
 */
const MAX_PAGE_GROWTH = 5;
const LEAST_PAGES = 100;

/** The factor by which the next attempt is smaller if a page is too large. */
const PAGE_DIVISOR = 8;

/**
 * Pages in key order, at least one. A page that exceeds the message limit is requested again with fewer
 * keys. Throws MalformedResponseError for a page with keys that were not requested. Later pages are read at the revision of the first one;
 * if that is compacted, CompactedError ends the list and the caller restarts it. A page that
 * takes long to decode is yielded in parts, so that the event loop gets its turns.
 */
export async function* listPrefix(transport: Transport, prefix: EtcdKey, options: ListOptions): AsyncGenerator<ListPage, void> {
  const { signal, pageSize = DEFAULT_LIST_PAGE, keysOnly, minModRevision, exact = false, start } = options;
  const { pin } = transport;
  const end = exact ? undefined : (options.end ?? prefixEnd(prefix));
  let key = start ?? firstBelow(prefix);
  let revision: Revision | undefined;
  let listed = 0;
  let limit = pageSize;
  let mayGrow = pageSize > 0;
  for (;;) {
    let answer: RangeAnswer;
    try {
      answer = await transport.call({
        method: RANGE,
        request: encodeRange({ key, end, limit, revision, keysOnly, minModRevision }),
        decode: (message) => decodeRange(message, limit),
        subject: { action: 'ListPrefix', kind: 'read', key: prefix },
        signal,
        timeoutMs: ETCD_LIST_TIMEOUT_MS,
        revision,
        pin,
      });
    } catch (thrown) {
      if (!(thrown instanceof ResponseTooLargeError) || limit === 1) throw thrown;
      limit = Math.max(1, Math.floor((limit || DEFAULT_LIST_PAGE) / PAGE_DIVISOR));
      mayGrow = false;
      continue;
    }
    checkOrder(answer.keyValues, key, end);
    revision ??= answer.header.revision;
    yield* partsOf(answer.keyValues, revision, listed + answer.count);
    listed += answer.keyValues.length;
    if (!answer.more) return;
    if (mayGrow) limit = Math.max(limit, Math.min(MAX_PAGE_GROWTH * pageSize, Math.floor(answer.count / LEAST_PAGES)));
    const last = answer.keyValues.at(-1);
    if (last === undefined) throw new MalformedResponseError('an empty list page although more keys remain');
    key = `${last.key}\0` as EtcdKey;
  }
}

/** Keys from `start` on and before `end`, each after the one before it. Without `end`, which may be all keys, `start` alone. */
function checkOrder(keyValues: readonly KeyValue[], start: EtcdKey, end: EtcdKey | undefined): void {
  let before: string | undefined;
  for (const { key } of keyValues) {
    if (before === undefined ? key < start : key <= before)
      throw new MalformedResponseError('a list page that does not continue the previous one');
    const isAsked = end === undefined ? key === start : end === ALL_KEYS || key < end;
    if (!isAsked) throw new MalformedResponseError('a list page with keys that were not requested');
    before = key;
  }
}

async function* partsOf(keyValues: readonly KeyValue[], revision: Revision, total: number): AsyncGenerator<ListPage, void> {
  if (keyValues.length <= EVENTS_PER_SLICE) {
    yield { keyValues, revision, total };
    return;
  }
  for (let at = 0; at < keyValues.length; at += EVENTS_PER_SLICE) {
    yield { keyValues: keyValues.slice(at, at + EVENTS_PER_SLICE), revision, total };
    await turn();
  }
}
