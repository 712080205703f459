/**
 * Long work over many keys, in slices, so that keepalives, health checks and new changes get their turn.
 *
 * All that share an instance share one budget per turn of the event loop: many walks, lists and watches together do not block it
 * longer than one.
 */
import { SLICE_MS } from '../limits.ts';
import type { Clock } from './clock.ts';

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
    return this.#clock.monotonicMs() - this.#startedMs >= SLICE_MS;
  }

  /** Resolves in a later turn of the event loop, a separate one per caller, in the order of the calls. Never rejects. */
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
