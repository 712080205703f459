/**
 * A list: every object of a kind at one resource version, in pages.
 *
 * Objects are passed on as they arrive, one at a time, so a list needs no memory of its own. If the
 * server drops the snapshot between two pages (410), all objects are requested in one response
 * instead; the reader is notified to discard what it received so far.
 */

import { MAX_FRUITLESS_PAGES } from '../../limits.ts';
import type { Clock } from '../../time/clock.ts';
import type { KubeConnection } from '../connection/connection.ts';
import { KubeDecodeError, KubeExpiredError, KubeThrottledError } from '../errors.ts';
import { parseJson, recordOf, resourceVersion } from '../objects/json.ts';
import { collectionPath, type Resource } from '../objects/resources.ts';
import { purposeText, type RequestPurpose } from '../objects/status.ts';
import { ListItemSplitter } from './list-items.ts';
import { WorkSlice } from './slice.ts';

export interface ListOptions {
  readonly connection: KubeConnection;
  readonly resource: Resource;
  /** '' for the latest state, '0' for any state that the server has cached, otherwise a state not older than this. */
  readonly resourceVersion: string;
  /** 0 requests everything in one response, which allows a server to answer from memory. */
  readonly pageSize: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** One object, as parsed; the result is whether the list has not had it before. */
  readonly onObject: (raw: unknown) => boolean;
  /** The list starts over: objects received before may be gone. */
  readonly onRestart: () => void;
  /** Waits before a page is requested again from a busy server. */
  readonly pause: (error: KubeThrottledError) => Promise<void>;
}

export interface ListResult {
  /** The resource version of the list; a watch continues from it. */
  readonly resourceVersion: string;
  readonly pages: number;
}

/** Runs a list to its end. Throws a KubeError or the signal's reason; the objects passed on until then are incomplete. */
export async function listObjects(options: ListOptions): Promise<ListResult> {
  let query = firstQuery(options);
  let token = '';
  let fruitless = 0;
  for (let pages = 1; ; ) {
    let envelope: unknown;
    try {
      const page = await readPage(options, query);
      envelope = page.envelope;
      fruitless = page.hasNews ? 0 : fruitless + 1;
    } catch (thrown) {
      if (thrown instanceof KubeThrottledError) {
        await options.pause(thrown);
        continue;
      }
      if (!(thrown instanceof KubeExpiredError) || token === '') throw thrown;
      // Some objects of the lost snapshot were passed on, so no older state may follow.
      options.onRestart();
      token = '';
      query = new URLSearchParams();
      continue;
    }
    const next = recordOf(recordOf(envelope).metadata).continue;
    if (typeof next !== 'string' || next === '') return { resourceVersion: resourceVersion(envelope), pages };
    if (next === token) throw new KubeDecodeError('the API server repeats a page of the list');
    if (fruitless >= MAX_FRUITLESS_PAGES) throw new KubeDecodeError('the pages of the list do not end and contain nothing new');
    token = next;
    query = new URLSearchParams({ limit: String(options.pageSize), continue: token });
    pages += 1;
  }
}

/** The resource version may be named on the first page only; the token carries it from there. */
function firstQuery({ resourceVersion: version, pageSize }: ListOptions): URLSearchParams {
  const query = new URLSearchParams();
  if (pageSize > 0) query.set('limit', String(pageSize));
  if (version !== '') query.set('resourceVersion', version);
  return query;
}

interface ListPage {
  /** The list without its items. */
  readonly envelope: unknown;
  /** Whether any of its items is one that the list has not had before. */
  readonly hasNews: boolean;
}

async function readPage(options: ListOptions, query: URLSearchParams): Promise<ListPage> {
  const { connection, resource, clock, signal } = options;
  const purpose: RequestPurpose = { verb: 'list', resource };
  if (resource.labelSelector !== undefined) query.set('labelSelector', resource.labelSelector);
  const body = await connection.open({
    purpose,
    path: `${collectionPath(resource)}?${query}`,
    accept: resource.metadataOnly
      ? 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'
      : 'application/json',
    signal,
  });
  try {
    const splitter = new ListItemSplitter();
    const slice = new WorkSlice(clock);
    let hasNews = false;
    for await (const chunk of body.chunks()) {
      for (const item of splitter.push(chunk)) {
        if (options.onObject(parseJson(item.toString(), purposeText(purpose)))) hasNews = true;
        if (slice.isOver()) await slice.turn(signal);
      }
    }
    return { envelope: splitter.finish(), hasNews };
  } finally {
    body.close();
  }
}
