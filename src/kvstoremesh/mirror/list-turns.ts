/**
 * Takes turns in listing remotes.
 *
 * After an outage of the own network every remote is to be listed at once. A few at a time are as fast, and neither
 * fill the memory with pages nor let each of them wait for the slowest. A turn is for a limited time: a remote that
 * answers slowly must not keep others from theirs.
 */

import { LIST_TURN_MS, MAX_CONCURRENT_REMOTE_LISTS } from '../../shared/limits.ts';
import type { Clock } from '../../shared/time/clock.ts';

export class ListTurns {
  readonly #clock: Clock;
  /** In the order of their calls; called when the slot of another one is theirs. */
  readonly #waiting = new Set<() => void>();
  #free = MAX_CONCURRENT_REMOTE_LISTS;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves, in the order of the calls, when it is the caller's turn, with a function that ends it. The turn ends with
   * the signal as well, and after LIST_TURN_MS. Rejects with the signal's reason.
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
