/** The status page: `GET /` and its files, `GET /v1/page` with its data, and `GET /v1/page/stream` with the changes of it. */
import type { JsonServerOptions } from '../../shared/http/server.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { PageFeed, type PageSource } from './feed.ts';
import { pageFiles } from './files.ts';
import type { MeshHistory } from './history.ts';
import { MAX_PAGE_STREAMS, PAGE_BEAT_MS, PAGE_STREAM_INTERVAL_MS } from './limits.ts';

export interface StatusPage {
  readonly files: NonNullable<JsonServerOptions['files']>;
  readonly resources: Readonly<Record<string, () => unknown>>;
  readonly streams: NonNullable<JsonServerOptions['streams']>;
}

/** The query `cluster` of the stream names the remote whose details are wanted. */
export function statusPage(source: PageSource, history: MeshHistory, clock: Clock): StatusPage {
  const feed = new PageFeed(source, history, clock);
  const stream = {
    open: (query: URLSearchParams) => feed.reader(query.get('cluster') ?? undefined),
    maxStreams: MAX_PAGE_STREAMS,
    intervalMs: PAGE_STREAM_INTERVAL_MS,
    beatMs: PAGE_BEAT_MS,
    clock,
  };
  return {
    files: pageFiles(),
    resources: { '/v1/page': () => feed.snapshot() },
    streams: { '/v1/page/stream': stream },
  };
}
