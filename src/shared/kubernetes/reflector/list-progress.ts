/**
 * Whether a streaming list makes progress.
 *
 * A server may never mark the end of the initial events: one that cannot determine the revision of its etcd, or a proxy that
 * drops the mark. Such a list looks like any other watch, with events of changes. A list that sends a new object from
 * time to time is slow, and continues; an object created after its start is a change.
 */
import type { Clock } from '../../time/clock.ts';
import { SilenceWatchdog } from '../connection/silence.ts';
import { StreamingListStalledError } from '../errors.ts';
import { KUBE_STREAMING_LIST_STALL_MS } from '../limits.ts';
import { recordOf } from '../objects/json.ts';
import { type Resource, resourceName } from '../objects/resources.ts';
import type { WatchEvent } from './watch-stream.ts';

export class ListProgress {
  readonly #watchdog: SilenceWatchdog;
  readonly #startedMs: number;

  /** To be disposed of when the watch has ended. */
  constructor(resource: Resource, clock: Clock, parent: AbortSignal) {
    const what = `list ${resourceName(resource)}`;
    this.#startedMs = clock.nowMs();
    this.#watchdog = new SilenceWatchdog(clock, parent, Number.POSITIVE_INFINITY, what, (limitMs) => {
      const seconds = Math.round(limitMs / 1000);
      return new StreamingListStalledError(
        `${what}: the streaming list made no progress for ${seconds} s; using paginated lists`,
      );
    });
  }

  /** For the watch: aborted with the parent's reason, or with a StreamingListStalledError. */
  get signal(): AbortSignal {
    return this.#watchdog.signal;
  }

  /** The server has accepted the watch: starts the timer. */
  opened(): void {
    this.#watchdog.allow(KUBE_STREAMING_LIST_STALL_MS);
  }

  /** The list has sent a new object. */
  heard({ type, object }: WatchEvent): void {
    const created = recordOf(recordOf(object).metadata).creationTimestamp;
    const createdMs = typeof created === 'string' ? Date.parse(created) : Number.NaN;
    if (type === 'ADDED' && !(createdMs > this.#startedMs)) this.#watchdog.heard();
  }

  /** The list is complete: from now on the watch may be as silent as any. */
  ended(): void {
    this.#watchdog.allow(Number.POSITIVE_INFINITY);
  }

  /** Idempotent. */
  dispose(): void {
    this.#watchdog.dispose();
  }
}
