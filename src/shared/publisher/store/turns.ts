/**
 * Long work over many keys, done in slices, so that keepalives, health checks and new changes have their turn.
 *
 * All slices of a publisher share one budget for each turn of the event loop: however many walks are under way, they
 * hold it up no longer than one of them would.
 */

import { PUBLISHER_SLICE_MS } from '../../limits.ts';
import type { Clock } from '../../time/clock.ts';

export class Turns {
  readonly #clock: Clock;
  #startedMs: number | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True where this turn of the event loop has been used up: it is time for `turn`. */
  isOver(): boolean {
    if (this.#startedMs === undefined) {
      this.#start();
      return false;
    }
    return this.#clock.monotonicMs() - this.#startedMs >= PUBLISHER_SLICE_MS;
  }

  /** Resolves in a later turn of the event loop, a turn of its own for each caller, in the order of the calls. Never rejects. */
  turn(): Promise<void> {
    this.#last = this.#last.then(
      () =>
        new Promise((resolve) => {
          setImmediate(() => {
            this.#start();
            resolve();
          });
        }),
    );
    return this.#last;
  }

  #start(): void {
    this.#startedMs = this.#clock.monotonicMs();
    setImmediate(() => {
      this.#startedMs = undefined;
    });
  }
}
