/**
 * Limits how many prefixes of remote clusters are listed at the same time.
 *
 * After a network outage of the local cluster every remote has to be listed again. A few listings at a time are as fast as
 * all at once, and their pages do not fill the memory. A turn is limited in time: a slow remote must not block others.
 */

import { LIST_TURN_MS, MAX_CONCURRENT_REMOTE_LISTS } from '../../shared/limits.ts';
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
    const turn = new AbortController();
    const end = () => turn.abort();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    void this.#clock
      .sleep(LIST_TURN_MS, turn.signal)
      .catch(() => undefined)
      .finally(() => {
        signal.removeEventListener('abort', end);
        this.#release();
      });
    return end;
  }

  #handedOver(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        this.#waiting.delete(onTurn);
        reject(signal.reason as Error);
      };
      this.#waiting.add(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
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
