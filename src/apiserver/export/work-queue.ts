/**
 * A queue of ids, each queued once however often it is added, in the order of first addition.
 *
 * Events only add ids; the work is done in a later turn of the event loop and in slices, so that a
 * burst of events for one service is one conversion, and a change of a namespace with a hundred thousand objects
 * does not delay health checks.
 */

import { KUBE_SLICE_MS } from '../../shared/kubernetes/limits.ts';
import type { Clock } from '../../shared/time/clock.ts';

export interface WorkQueueOptions {
  /** Does the work of one id. Must not throw. */
  readonly work: (id: string) => void;
  readonly clock: Clock;
  /** No work is done once it is aborted. */
  readonly signal: AbortSignal;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #onIdle: (() => void)[] = [];
  #isOpen = false;
  #isScheduled = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(id: string): void {
    this.#waiting.add(id);
    this.#schedule();
  }

  /** Takes `id` out again. */
  drop(id: string): void {
    this.#waiting.delete(id);
  }

  /** Until then nothing is done. */
  open(): void {
    this.#isOpen = true;
    this.#schedule();
  }

  /** Calls `listener` once, as soon as the queue is open and nothing waits. */
  whenIdle(listener: () => void): void {
    this.#onIdle.push(listener);
    this.#schedule();
  }

  #schedule(): void {
    if (!this.#isOpen || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#run());
  }

  #run(): void {
    const { work, clock, signal } = this.#options;
    const endMs = clock.monotonicMs() + KUBE_SLICE_MS;
    this.#isScheduled = false;
    for (const id of this.#waiting) {
      if (signal.aborted) return;
      this.#waiting.delete(id);
      work(id);
      if (clock.monotonicMs() >= endMs) break;
    }
    if (this.#waiting.size > 0) this.#schedule();
    else for (const listener of this.#onIdle.splice(0)) listener();
  }
}
