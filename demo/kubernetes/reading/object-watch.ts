/**
 * Watching: the changes of a kind as they happen, one JSON line each.
 *
 * A watch reads the store's history at its own pace and holds no queue of its own. One that is so slow that
 * the history has gone past it ends with an `ERROR` event of code 410, and its client lists again.
 */

import { type Representation, representBookmark, representOne } from '../http/representation.ts';
import type { ResourcePath } from '../http/resource-path.ts';
import { expired, invalidOptions } from '../http/status-error.ts';
import type { KindRegistry } from '../kinds/kind-registry.ts';
import { WATCH_CHUNK_BYTES, WATCH_TIMEOUT_SECONDS } from '../limits.ts';
import type { JsonObject } from '../objects/json.ts';
import { inVersion, type KubernetesObject } from '../objects/kubernetes-object.ts';
import type { Change, ObjectStore } from '../objects/object-store.ts';
import { askedRevision, requestMatcher } from './object-list.ts';
import type { Matcher } from './selectors.ts';

/** Tells a client that what the watch began with is complete. */
const INITIAL_EVENTS_END: JsonObject = { 'k8s.io/initial-events-end': 'true' };

export interface WatchRequest {
  readonly path: ResourcePath;
  readonly query: URLSearchParams;
  readonly as: Representation;
  readonly bookmarkIntervalMs: number;
}

export interface WatchSink {
  /** Resolves when more may be written. */
  write(chunk: string): Promise<void>;
}

/** What a checked request asks for. */
interface WatchPlan extends WatchRequest {
  readonly matches: Matcher;
  readonly wantsBookmarks: boolean;
  /** The state of now comes first, as added objects. */
  readonly beginsWithState: boolean;
  /** A bookmark tells where that state ends. */
  readonly marksState: boolean;
  /** Only changes after it are told, unless the watch begins with the state of now. */
  readonly after: number | undefined;
}

/**
 * Checks a watch request and returns the function that runs it: it writes to a sink until the watch's time is
 * over, its kind is gone, or the signal is aborted. Throws a 400 for a request that contradicts itself.
 */
export function openWatch(store: ObjectStore, kinds: KindRegistry, request: WatchRequest) {
  const plan = planOf(request);
  return (sink: WatchSink, signal: AbortSignal): Promise<void> => runWatch(store, kinds, plan, new LineWriter(sink), signal);
}

function planOf(request: WatchRequest): WatchPlan {
  const { path, query } = request;
  const asked = askedRevision(query);
  const initial = query.get('sendInitialEvents');
  const wantsBookmarks = isSet(query.get('allowWatchBookmarks'));
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan')
    throw invalidOptions(
      'resourceVersionMatch',
      'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    );
  if (isSet(initial) && !wantsBookmarks)
    throw invalidOptions('allowWatchBookmarks', 'Forbidden: sendInitialEvents requires bookmarks');
  return {
    ...request,
    matches: requestMatcher(path, query),
    wantsBookmarks,
    beginsWithState: initial === null ? asked === undefined || asked === 0 : isSet(initial),
    marksState: isSet(initial),
    after: asked,
  };
}

async function runWatch(
  store: ObjectStore,
  kinds: KindRegistry,
  plan: WatchPlan,
  lines: LineWriter,
  signal: AbortSignal,
): Promise<void> {
  const { path, as } = plan;
  const alarm = new Alarm(store, signal, timeoutMs(plan.query), plan.bookmarkIntervalMs);
  try {
    let revision = plan.beginsWithState ? await writeState(store, plan, lines) : (plan.after ?? store.revision);
    for (;;) {
      const changes = store.changesAfter(revision);
      if (changes === undefined) {
        await lines.write('ERROR', expired(revision, store.compactRevision).toStatus());
        return;
      }
      for (const change of changes) {
        const event = change.resource === path.kind.id ? eventOf(change, plan.matches) : undefined;
        if (event !== undefined) await lines.write(event.type, representOne(path, event.object, as));
        revision = change.revision;
        if (signal.aborted) return;
      }
      if (!kinds.serves(path.kind)) return;
      const isBookmarkDue = alarm.takeBookmark();
      if (plan.wantsBookmarks && (isBookmarkDue || alarm.isOver))
        await lines.write('BOOKMARK', representBookmark(path, revision, undefined, as));
      await lines.flush();
      if (alarm.isOver) return;
      await alarm.next(store.revision > revision);
    }
  } finally {
    alarm.stop();
    await lines.flush();
  }
}

/** Writes the state of now and returns its revision. */
async function writeState(store: ObjectStore, { path, matches, as, marksState }: WatchPlan, lines: LineWriter): Promise<number> {
  const revision = store.revision;
  for (const [, object] of store.entriesAt(path.kind.id, revision) ?? []) {
    if (matches(object)) await lines.write('ADDED', representOne(path, object, as));
  }
  if (marksState) await lines.write('BOOKMARK', representBookmark(path, revision, INITIAL_EVENTS_END, as));
  return revision;
}

/** What a change means to a watch that sees a part of the objects: one may come into that part, or leave it. */
function eventOf(change: Change, matches: Matcher): { type: string; object: KubernetesObject } | undefined {
  const matched = change.previous !== undefined && matches(change.previous);
  const isMatched = change.type !== 'DELETED' && matches(change.object);
  if (!matched && !isMatched) return undefined;
  if (isMatched) return { type: matched ? 'MODIFIED' : 'ADDED', object: change.object };
  const last = change.previous ?? change.object;
  const metadata = { ...last.metadata, resourceVersion: String(change.revision) };
  return { type: 'DELETED', object: inVersion({ ...last, metadata }, last.apiVersion) };
}

class LineWriter {
  readonly #sink: WatchSink;
  #pending = '';

  constructor(sink: WatchSink) {
    this.#sink = sink;
  }

  async write(type: string, object: unknown): Promise<void> {
    this.#pending += `${JSON.stringify({ type, object })}\n`;
    if (this.#pending.length >= WATCH_CHUNK_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const chunk = this.#pending;
    this.#pending = '';
    if (chunk !== '') await this.#sink.write(chunk);
  }
}

/** Wakes a watch: for a change of the store, for a bookmark, at its end. */
class Alarm {
  isOver = false;
  #isBookmarkDue = false;
  #wake: () => void = () => undefined;
  readonly #stops: (() => unknown)[] = [];

  constructor(store: ObjectStore, signal: AbortSignal, timeoutMs: number, bookmarkIntervalMs: number) {
    const end = () => {
      this.isOver = true;
      this.#wake();
    };
    const timeout = setTimeout(end, timeoutMs);
    const interval = setInterval(() => {
      this.#isBookmarkDue = true;
      this.#wake();
    }, bookmarkIntervalMs);
    signal.addEventListener('abort', end);
    this.#stops.push(
      store.onChange(() => this.#wake()),
      () => clearTimeout(timeout),
      () => clearInterval(interval),
      () => signal.removeEventListener('abort', end),
    );
  }

  takeBookmark(): boolean {
    const isDue = this.#isBookmarkDue;
    this.#isBookmarkDue = false;
    return isDue;
  }

  /** Resolves at the next reason to look, at once where there is one already. */
  async next(isBehind: boolean): Promise<void> {
    if (isBehind || this.isOver || this.#isBookmarkDue) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}

function timeoutMs(query: URLSearchParams): number {
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  return 1000 * Math.min(seconds > 0 ? seconds : WATCH_TIMEOUT_SECONDS, 86_400);
}

/** How a query says yes: as Go parses truth. */
export function isSet(value: string | null): boolean {
  return value !== null && ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(value);
}
