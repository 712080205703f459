/**
 * Limits how many prefixes of remote clusters are listed at the same time.
 *
 * After a network outage of the local cluster every remote has to be listed again. A few listings at a time are as fast as
 * all at once, and their pages do not fill the memory. A turn is limited in time: a slow remote must not block others.
 */

import { LIST_TURN_MS, MAX_CONCURRENT_REMOTE_LISTS } from '../../shared/limits.ts';
import { LinkedAbort, onAbort } from '../../shared/time/abort.ts';
import type { Clock } from '../../shared/time/clock.ts';

export class ListTurns {
  readonly #clock: Clock;
  /** In the order of the calls. Each is called when it is handed a slot. */
  readonly #waiting = new Set<() => void>();
  #free = MAX_CONCURRENT_REMOTE_LISTS;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves when it is the caller's turn, in the order of the calls, with a function that ends the turn. The turn also ends
   * with the signal and after LIST_TURN_MS. Rejects with the signal's reason.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#handedOver(signal);
    const turn = new LinkedAbort(signal);
    void this.#clock
      .sleep(LIST_TURN_MS, turn.signal)
      .catch(() => undefined)
      .finally(() => {
        turn.abort();
        this.#release();
      });
    return () => turn.abort();
  }

  #handedOver(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        unlink();
        resolve();
      };
      this.#waiting.add(onTurn);
      const unlink = onAbort(signal, () => {
        this.#waiting.delete(onTurn);
        reject(signal.reason as Error);
      });
    });
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
