/**
 * Keeps a handler equal to one kind of Kubernetes object, with the guarantees of client-go's reflector:
 * list, watch from the list's resource version, resume from the last seen one, list again only if
 * the server requires it, and never in a hot loop.
 *
 *   listing ──complete──▶ watching ──ended, cut, refused──▶ (pause) ──▶ watching
 *      ▲                     └── 410, unknown version, 404, or no progress at all ──▶ (pause) ──┐
 *      └────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * A kind may have older API versions besides the preferred one. Each attempt to list tries them, the preferred one
 * first, until the server has one; if it has none the kind is missing. A version that is no longer served
 * is handled like any other interrupted watch: nothing is removed before another version was listed.
 */

import { isAbort } from '../../errors.ts';
import { MAX_FRUITLESS_WATCHES } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import { Backoff } from '../../time/backoff.ts';
import type { Clock } from '../../time/clock.ts';
import type { KubeConnection } from '../connection/connection.ts';
import {
  KubeDecodeError,
  KubeError,
  KubeExpiredError,
  KubeFutureVersionError,
  KubeMissingError,
  KubeSilenceError,
  KubeStatusError,
  KubeThrottledError,
  StreamingListStalledError,
  StreamingListUnsupportedError,
} from '../errors.ts';
import {
  KUBE_BACKOFF_MAX_MS,
  KUBE_BACKOFF_MIN_MS,
  KUBE_HEALTHY_WATCH_MS,
  KUBE_LIST_PAGE,
  KUBE_LOG_INTERVAL_MS,
  KUBE_SHORT_WATCH_MS,
} from '../limits.ts';
import { resourceVersion } from '../objects/json.ts';
import { inEachVersion, type Resource, resourceName } from '../objects/resources.ts';
import { listObjects } from './list.ts';
import { ListProgress } from './list-progress.ts';
import { ObjectFeed, type ResourceHandler } from './object-feed.ts';
import type { ReflectorObserver, ReflectorState, RelistReason } from './observer.ts';
import { WorkSlice } from './slice.ts';
import { endsInitialEvents, type WatchEvent, watchEvents } from './watch-stream.ts';

export type { ResourceHandler } from './object-feed.ts';

export interface ReflectorOptions<T> {
  readonly connection: KubeConnection;
  readonly resource: Resource;
  /** Keeps what is needed of a parsed object. Where it throws, the object is named, counted and skipped. */
  readonly project: (raw: unknown) => T;
  readonly handler: ResourceHandler<T>;
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly observer?: ReflectorObserver;
}

/** Runs until the signal is aborted, then resolves. Rejects only where a handler or an observer throws. */
export async function runReflector<T>(options: ReflectorOptions<T>): Promise<void> {
  try {
    await new Reflector(options).run();
  } catch (thrown) {
    if (!isAbort(thrown, options.signal)) throw thrown;
  }
}

interface WatchEnd {
  /** When the server accepted the watch; absent where it never did. */
  openedMs?: number;
  /** What came after the initial events, bookmarks included. */
  events: number;
  /** The initial events are complete, or were not requested. */
  isListed: boolean;
  /** Absent where the server ended the watch in order. */
  failure?: KubeError;
}

interface Relist {
  readonly reason: RelistReason;
  readonly failure: KubeError | undefined;
}

class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #log: Logger;
  readonly #feed: ObjectFeed<T>;
  readonly #backoff = new Backoff({ minMs: KUBE_BACKOFF_MIN_MS, maxMs: KUBE_BACKOFF_MAX_MS });
  #state: ReflectorState | undefined;
  /** The kind in the current API version. */
  #resource: Resource;
  /** The versions that the server did not have since the last pause or successful watch; they are not tried again before. */
  readonly #unknown = new Set<string>();
  /** The resource version up to which everything was passed on. '' before the first list. */
  #version = '';
  /** The server does not have `#version`, so only the state of this moment will do. */
  #isVersionUnknown = false;
  #canStreamLists = true;
  /** The server paginates even what it could answer from memory: it has no watch cache, and requires pages. */
  #isPaging = false;
  #fruitlessWatches = 0;
  /** A failure was logged, and not yet that it is over. */
  #isFailureLogged = false;
  #loggedFailure: { readonly code: string; readonly atMs: number } | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#resource = options.resource;
    this.#log = options.log.child({ resource: resourceName(options.resource) });
    this.#feed = new ObjectFeed({
      project: options.project,
      handler: options.handler,
      log: this.#log,
      onRejected: (id, error) => options.observer?.({ type: 'rejected', id, error }),
    });
  }

  async run(): Promise<never> {
    for (;;) {
      let failure: KubeError | undefined;
      try {
        const { reason, failure: cause } = await this.#listAndWatch();
        this.#options.observer?.({ type: 'relist', reason });
        this.#log.info({ reason }, 'relisting');
        // That versions grow old is the ordinary course of things.
        failure = reason === 'expired' || reason === 'future_version' ? undefined : cause;
      } catch (thrown) {
        if (!(thrown instanceof KubeError)) throw thrown;
        failure = thrown;
      }
      if (failure instanceof KubeMissingError && this.#turnToNextVersion()) continue;
      this.#resource = this.#options.resource;
      await this.#pause(failure);
    }
  }

  /** Whether another version can be tried, which is `#resource` from now on. */
  #turnToNextVersion(): boolean {
    this.#unknown.add(this.#resource.version);
    const next = inEachVersion(this.#options.resource).find(({ version }) => !this.#unknown.has(version));
    if (next === undefined) return false;
    this.#log.debug({ unknown: this.#resource.version, next: next.version }, 'trying another API version');
    this.#resource = next;
    return true;
  }

  /** Lists, then watches until another list is required. */
  async #listAndWatch(): Promise<Relist> {
    if (this.#state === undefined || this.#state === 'watching') this.#enter('listing');
    let end = this.#canStreamLists ? await this.#streamList() : undefined;
    if (end === undefined) await this.#listPages();
    for (;;) {
      end ??= await this.#follow(false);
      const relist = await this.#settle(end);
      if (relist !== undefined) return relist;
      end = undefined;
    }
  }

  /** A list as the beginning of a watch; resolves when that watch ends, with undefined where pages have to be tried. */
  async #streamList(): Promise<WatchEnd | undefined> {
    const end = await this.#follow(true);
    const { failure } = end;
    if (end.isListed || failure === undefined) return end;
    if (failure instanceof KubeExpiredError || failure instanceof KubeFutureVersionError) {
      this.#isVersionUnknown = true;
      throw failure;
    }
    const isRefused = failure instanceof KubeStatusError && failure.status < 500;
    if (isRefused || failure instanceof StreamingListUnsupportedError) {
      this.#canStreamLists = false;
      this.#log.debug({ code: failure.code, reason: failure.message }, 'streaming list unavailable; using paginated lists');
      return undefined;
    }
    if (failure instanceof StreamingListStalledError) {
      this.#canStreamLists = false;
      this.#note(failure, 0);
      return undefined;
    }
    // Besides rejections, silence: a proxy that buffers streams may still pass pages on.
    const mayPagesWork = end.openedMs !== undefined || failure instanceof KubeStatusError || failure instanceof KubeSilenceError;
    if (!mayPagesWork) throw failure;
    this.#note(failure, 0);
    return undefined;
  }

  async #listPages(): Promise<void> {
    const { clock, connection, signal } = this.#options;
    const startedMs = clock.monotonicMs();
    const version = this.#needsThisMoment() ? '' : this.#version || '0';
    this.#feed.beginListing();
    try {
      const result = await listObjects({
        connection,
        resource: this.#resource,
        clock,
        signal,
        resourceVersion: version,
        // With a resource version the response comes from the server's memory, unless a page size is set.
        pageSize: version === '' || version === '0' || this.#isPaging ? KUBE_LIST_PAGE : 0,
        onObject: (raw) => this.#feed.list(raw),
        onRestart: () => this.#feed.beginListing(),
        pause: (error) => this.#pause(error),
      });
      if (version === '0' && result.pages > 1) this.#isPaging = true;
      await this.#endListing('pages', result.resourceVersion, startedMs);
    } catch (thrown) {
      if (thrown instanceof KubeExpiredError || thrown instanceof KubeFutureVersionError) this.#isVersionUnknown = true;
      throw thrown;
    }
  }

  /** After a part of a list was passed on, an older one would revert objects. */
  #needsThisMoment(): boolean {
    return this.#isVersionUnknown || this.#feed.isPartial;
  }

  async #endListing(mode: 'stream' | 'pages', version: string, startedMs: number): Promise<void> {
    const { clock, handler, observer, signal } = this.#options;
    const slice = new WorkSlice(clock);
    for (const _ of this.#feed.removeVanished()) {
      if (slice.isOver()) await slice.turn(signal);
    }
    this.#version = version;
    this.#isVersionUnknown = false;
    handler.listed();
    const durationMs = clock.monotonicMs() - startedMs;
    observer?.({ type: 'list', mode, objects: this.#feed.size, durationMs });
    const { version: apiVersion } = this.#resource;
    this.#log.info({ mode, apiVersion, objects: this.#feed.size, durationMs: Math.round(durationMs) }, 'listed');
  }

  /** One watch, from its request to its end. */
  async #follow(isStreamingList: boolean): Promise<WatchEnd> {
    const { clock, connection, signal } = this.#options;
    const startedMs = clock.monotonicMs();
    const end: WatchEnd = { events: 0, isListed: !isStreamingList };
    const progress = isStreamingList ? new ListProgress(this.#resource, clock, signal) : undefined;
    if (isStreamingList) this.#feed.beginListing();
    try {
      const events = watchEvents({
        connection,
        resource: this.#resource,
        clock,
        signal: progress?.signal ?? signal,
        resourceVersion: isStreamingList && this.#needsThisMoment() ? '' : this.#version,
        sendInitialEvents: isStreamingList,
        onOpen: () => {
          end.openedMs = clock.monotonicMs();
          progress?.opened();
          this.#options.observer?.({ type: 'watch' });
          if (!isStreamingList) this.#recover();
        },
      });
      for await (const event of events) {
        if (end.isListed) {
          this.#take(event);
          end.events += 1;
        } else if (endsInitialEvents(event)) {
          progress?.ended();
          await this.#endListing('stream', resourceVersion(event.object), startedMs);
          end.isListed = true;
          this.#recover();
        } else {
          if (this.#takeInitial(event)) progress?.heard(event);
        }
      }
      if (!end.isListed) throw new KubeDecodeError('the stream ended before the list was complete');
    } catch (thrown) {
      if (!(thrown instanceof KubeError)) throw thrown;
      end.failure = thrown;
    } finally {
      progress?.dispose();
    }
    return end;
  }

  #take(event: WatchEvent): void {
    if (event.type === 'ADDED' || event.type === 'MODIFIED') this.#feed.upsert(event.object);
    else if (event.type === 'DELETED') this.#feed.remove(event.object);
    else if (event.type !== 'BOOKMARK') throw new KubeDecodeError(`an event of unknown type ${event.type.slice(0, 20)}`);
    this.#version = resourceVersion(event.object);
  }

  /** Initial events are not ordered by version, so none of them is a version to resume from. True if the list has a new object. */
  #takeInitial(event: WatchEvent): boolean {
    if (event.type === 'BOOKMARK')
      throw new StreamingListUnsupportedError('the API server does not mark the end of initial events');
    if (event.type !== 'DELETED') return this.#feed.list(event.object);
    this.#feed.remove(event.object);
    return false;
  }

  /** What the end of a watch means: undefined to resume it, which then may happen at once. */
  async #settle(end: WatchEnd): Promise<Relist | undefined> {
    const { failure } = end;
    if (failure instanceof KubeFutureVersionError) this.#isVersionUnknown = true;
    const reason = relistReason(failure);
    if (reason !== undefined) return { reason, failure };

    const lastedMs = end.openedMs === undefined ? 0 : this.#options.clock.monotonicMs() - end.openedMs;
    const isLong = lastedMs >= (failure === undefined ? KUBE_SHORT_WATCH_MS : KUBE_HEALTHY_WATCH_MS);
    if (end.events > 0 || isLong) {
      this.#backoff.reset();
      this.#fruitlessWatches = 0;
      this.#unknown.clear();
    } else if (failure === undefined || FRUITLESS.some((type) => failure instanceof type)) {
      this.#fruitlessWatches += 1;
    }
    if (this.#fruitlessWatches >= MAX_FRUITLESS_WATCHES) {
      this.#fruitlessWatches = 0;
      return { reason: 'no_progress', failure };
    }
    if (!isLong || failure instanceof KubeThrottledError) await this.#pause(failure);
    else if (failure !== undefined) this.#note(failure, 0);
    return undefined;
  }

  /** Waits for the delay that the server requested, otherwise for the back-off. */
  async #pause(failure: KubeError | undefined): Promise<void> {
    const { clock, signal } = this.#options;
    const asked = failure?.retryAfterMs;
    const delayMs = asked === undefined ? this.#backoff.nextMs() : Math.max(asked, KUBE_BACKOFF_MIN_MS) * (1 + Math.random() / 4);
    if (failure !== undefined) {
      this.#note(failure, delayMs);
      this.#enter(failure instanceof KubeMissingError ? 'missing' : 'failing');
    }
    this.#unknown.clear();
    await clock.sleep(delayMs, signal);
  }

  /** The server has accepted a request for the complete state. */
  #recover(): void {
    if (this.#isFailureLogged) this.#log.info('Kubernetes API available again');
    this.#isFailureLogged = false;
    this.#enter('watching');
  }

  #enter(state: ReflectorState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.observer?.({ type: 'state', state });
  }

  #note(failure: KubeError, delayMs: number): void {
    this.#options.observer?.({ type: 'failure', error: failure, delayMs });
    const nowMs = this.#options.clock.monotonicMs();
    const last = this.#loggedFailure;
    const isNews = last === undefined || last.code !== failure.code || nowMs - last.atMs >= KUBE_LOG_INTERVAL_MS;
    if (isNews) {
      this.#loggedFailure = { code: failure.code, atMs: nowMs };
      this.#isFailureLogged = true;
    }
    const fields = { code: failure.code, reason: failure.message, delayMs: Math.round(delayMs) };
    this.#log[isNews ? 'warn' : 'debug'](fields, 'Kubernetes API request failed; retrying');
  }
}

/** Failures that a list may solve: the server can be reached and authorizes requests, but this watch makes no progress. */
const FRUITLESS = [KubeDecodeError, KubeSilenceError, KubeStatusError];

function relistReason(failure: KubeError | undefined): RelistReason | undefined {
  if (failure instanceof KubeExpiredError) return 'expired';
  if (failure instanceof KubeFutureVersionError) return 'future_version';
  if (failure instanceof KubeMissingError) return 'missing';
  return undefined;
}
