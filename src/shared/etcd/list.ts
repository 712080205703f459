/**
 * Everything below a prefix, page by page, as it was at one revision.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { DEFAULT_LIST_PAGE, ETCD_LIST_TIMEOUT_MS, EVENTS_PER_SLICE } from '../limits.ts';
import { decodeRange } from './codec.ts';
import { MalformedResponseError } from './errors.ts';
import { encodeRange, firstBelow, RANGE } from './methods.ts';
import type { Transport } from './transport.ts';
import { type EtcdKey, type KeyValue, type ListOptions, type ListPage, prefixEnd, type Revision } from './types.ts';

/**
 * Pages in the order of the keys, one at least. Later pages are asked for at the revision of the first one;
 * where that is compacted meanwhile, CompactedError ends the list and the caller begins again. A page that
 * is long to decode is yielded in parts, so that the event loop gets its turns.
 */
export async function* listPrefix(transport: Transport, prefix: EtcdKey, options: ListOptions): AsyncGenerator<ListPage, void> {
  const { signal, pageSize = DEFAULT_LIST_PAGE, keysOnly, minModRevision, exact = false, start } = options;
  const { pin } = transport;
  const end = exact ? undefined : prefixEnd(prefix);
  let key = start ?? firstBelow(prefix);
  let revision: Revision | undefined;
  let listed = 0;
  for (;;) {
    const answer = await transport.call({
      method: RANGE,
      request: encodeRange({ key, end, limit: pageSize, revision, keysOnly, minModRevision }),
      decode: decodeRange,
      signal,
      timeoutMs: ETCD_LIST_TIMEOUT_MS,
      revision,
      pin,
    });
    revision ??= answer.header.revision;
    yield* partsOf(answer.keyValues, revision, listed + answer.count);
    listed += answer.keyValues.length;
    if (!answer.more) return;
    const last = answer.keyValues.at(-1);
    if (last === undefined || last.key < key)
      throw new MalformedResponseError('a page of a list does not go on where the last one ended');
    key = `${last.key}\0` as EtcdKey;
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
