/**
 * Events that wait to be written: a bounded queue in which equal ones are one entry with a count.
 *
 * The oldest is dropped when the queue is full: the latest states matter more.
 */
import type { EventContent, Occurrences } from '../../shared/kubernetes/events.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { Trigger } from '../../shared/time/trigger.ts';
import { MAX_WAITING_EVENTS } from './limits.ts';

export interface WaitingEvent {
  readonly content: EventContent;
  readonly occurrences: Occurrences;
}

/** The queue is looked at this often without a call. */
const IDLE_MS = 60_000;

export class EventQueue {
  readonly #clock: Clock;
  readonly #onDropped: (count: number) => void;
  readonly #waiting = new Map<string, WaitingEvent>();
  readonly #arrival = new Trigger();

  /** `onDropped` receives how many occurrences were lost. */
  constructor(clock: Clock, onDropped: (count: number) => void) {
    this.#clock = clock;
    this.#onDropped = onDropped;
  }

  /** Never blocks and never fails. */
  push(content: EventContent): void {
    const key = keyOf(content);
    const nowMs = this.#clock.nowMs();
    const { count = 0, firstMs = nowMs } = this.#waiting.get(key)?.occurrences ?? {};
    this.#waiting.set(key, { content, occurrences: { count: count + 1, firstMs, lastMs: nowMs } });
    for (const [oldest, { occurrences }] of this.#waiting) {
      if (this.#waiting.size <= MAX_WAITING_EVENTS) break;
      this.#waiting.delete(oldest);
      this.#onDropped(occurrences.count);
    }
    this.#arrival.trigger();
  }

  /** Takes the oldest, once there is one. One caller at a time. Rejects with the signal's reason. */
  async take(signal: AbortSignal): Promise<WaitingEvent> {
    for (;;) {
      for (const [key, event] of this.#waiting) {
        this.#waiting.delete(key);
        return event;
      }
      await this.#arrival.wait(IDLE_MS, this.#clock, signal);
    }
  }
}

/** Equal for events that are occurrences of the same. */
export function keyOf({ reason, note }: EventContent): string {
  return `${reason} ${note}`;
}
