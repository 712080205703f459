/**
 * One watch: a request whose response has a line of JSON per event, until either side ends it.
 *
 * With `sendInitialEvents` the first events are the list itself, ended by a marked bookmark.
 * An invalid line ends the watch: one that is truncated, too long or not JSON. Its
 * reader resumes from the last resource version, and loses nothing.
 */
import type { Clock } from '../../time/clock.ts';
import type { KubeConnection } from '../connection/connection.ts';
import { KubeDecodeError } from '../errors.ts';
import { KUBE_ANSWER_TIMEOUT_MS, KUBE_BOOKMARK_SILENCE_MS, KUBE_WATCH_GRACE_MS, KUBE_WATCH_MIN_MS } from '../limits.ts';
import { parseJson, recordOf } from '../objects/json.ts';
import { collectionPath, type Resource } from '../objects/resources.ts';
import { purposeText, type RequestPurpose, statusError } from '../objects/status.ts';
import { LineSplitter } from './lines.ts';
import { WorkSlice } from './slice.ts';

export interface WatchOptions {
  readonly connection: KubeConnection;
  readonly resource: Resource;
  /** Events after it; with `sendInitialEvents` a state not older than it, '' being that of this moment. */
  readonly resourceVersion: string;
  readonly sendInitialEvents: boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The server has accepted the watch. */
  readonly onOpen: () => void;
}

export interface WatchEvent {
  /** `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`, or an unknown one. */
  readonly type: string;
  readonly object: unknown;
}

/** Whether `event` marks the end of the initial events. */
export function endsInitialEvents(event: WatchEvent): boolean {
  if (event.type !== 'BOOKMARK') return false;
  return recordOf(recordOf(recordOf(event.object).metadata).annotations)['k8s.io/initial-events-end'] === 'true';
}

/**
 * The events of one watch, in order; ends when the server ends the watch. Throws a KubeError, also for
 * an ERROR event, or the signal's reason. Frees its socket in all cases.
 */
export async function* watchEvents(options: WatchOptions): AsyncGenerator<WatchEvent, void, void> {
  const { connection, resource, clock, signal } = options;
  const purpose: RequestPurpose = { verb: 'watch', resource };
  const durationMs = KUBE_WATCH_MIN_MS * (1 + Math.random());
  const body = await connection.open({
    purpose,
    path: `${collectionPath(resource)}?${watchQuery(options, durationMs)}`,
    accept: resource.metadataOnly
      ? 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json'
      : 'application/json',
    signal,
  });
  try {
    options.onOpen();
    const usualSilenceMs = durationMs + KUBE_WATCH_GRACE_MS;
    body.allowSilence(options.sendInitialEvents ? KUBE_ANSWER_TIMEOUT_MS : usualSilenceMs);
    const splitter = new LineSplitter();
    const slice = new WorkSlice(clock);
    for await (const chunk of body.chunks()) {
      for (const line of splitter.push(chunk)) {
        const event = readEvent(line, purpose);
        // A server that sends bookmarks sends one a minute. One that does not may stay silent to the end.
        if (event.type === 'BOOKMARK') body.allowSilence(Math.min(usualSilenceMs, KUBE_BOOKMARK_SILENCE_MS));
        yield event;
        if (slice.isOver()) await slice.turn(signal);
      }
    }
    splitter.finish();
  } finally {
    body.close();
  }
}

function watchQuery(options: WatchOptions, durationMs: number): URLSearchParams {
  const query = new URLSearchParams({ watch: 'true', allowWatchBookmarks: 'true' });
  query.set('timeoutSeconds', String(Math.floor(durationMs / 1000)));
  if (options.resourceVersion !== '') query.set('resourceVersion', options.resourceVersion);
  if (options.sendInitialEvents) {
    query.set('sendInitialEvents', 'true');
    query.set('resourceVersionMatch', 'NotOlderThan');
  }
  if (options.resource.labelSelector !== undefined) query.set('labelSelector', options.resource.labelSelector);
  return query;
}

function readEvent(line: Buffer, purpose: RequestPurpose): WatchEvent {
  const { type, object } = recordOf(parseJson(line.toString(), purposeText(purpose)));
  if (typeof type !== 'string') throw new KubeDecodeError(`${purposeText(purpose)}: an event has no type`);
  if (type === 'ERROR') throw statusError(purpose, 500, object);
  return { type, object };
}
