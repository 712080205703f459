/** Wakes one waiter: on the next event, or after a time without one. */
import { LinkedAbort } from './abort.ts';
import type { Clock } from './clock.ts';

export class Trigger {
  #isTriggered = false;
  #wake: () => void = () => undefined;

  /** Wakes the current waiter, or else the next call of `wait`. */
  trigger(): void {
    this.#isTriggered = true;
    this.#wake();
  }

  /**
   * Resolves with true once it was triggered since the last call, with false after `ms` without that; rejects with the signal's
   * reason. One waiter at a time.
   */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (!this.#isTriggered) {
      const woken = new LinkedAbort(signal);
      this.#wake = () => woken.abort();
      await clock.sleep(ms, woken.signal).catch(() => undefined);
      woken.abort();
      this.#wake = () => undefined;
    }
    signal.throwIfAborted();
    const isTriggered = this.#isTriggered;
    this.#isTriggered = false;
    return isTriggered;
  }
}
