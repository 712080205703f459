/** A bell that somebody waits for: what happens next, or some time without anything. */
import { LinkedAbort } from './abort.ts';
import type { Clock } from './clock.ts';

export class Bell {
  #hasRung = false;
  #wake: () => void = () => undefined;

  /** Wakes who waits now, or else who waits next. */
  ring(): void {
    this.#hasRung = true;
    this.#wake();
  }

  /**
   * Resolves with true once the bell has rung since the last call, with false after `ms` without; rejects with the signal's
   * reason. One waiter at a time.
   */
  async wait(ms: number, clock: Clock, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (!this.#hasRung) {
      const woken = new LinkedAbort(signal);
      this.#wake = () => woken.abort();
      await clock.sleep(ms, woken.signal).catch(() => undefined);
      woken.abort();
      this.#wake = () => undefined;
    }
    signal.throwIfAborted();
    const hasRung = this.#hasRung;
    this.#hasRung = false;
    return hasRung;
  }
}
