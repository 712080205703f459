/** A timer for all who do something at the same interval: with hundreds of connections one for each of them costs more than what it does. */
import { ENDED } from './abort.ts';
import type { Clock } from './clock.ts';

export class Rounds {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #listeners = new Set<() => void>();
  #stop: AbortController | undefined;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Calls `listener` in each round, for the first time within an interval. It must not throw. Returns a function that ends it. */
  join(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#stop === undefined) {
      this.#stop = new AbortController();
      void this.#run(this.#stop.signal);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#stop?.abort(ENDED);
      this.#stop = undefined;
    };
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(this.#intervalMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      for (const listener of [...this.#listeners]) listener();
    }
  }
}

const rounds = new WeakMap<Clock, Map<number, Rounds>>();

/** The rounds of `clock` at this interval, shared by all callers. */
export function roundsOf(clock: Clock, intervalMs: number): Rounds {
  const ofClock = rounds.get(clock) ?? new Map<number, Rounds>();
  rounds.set(clock, ofClock);
  const found = ofClock.get(intervalMs) ?? new Rounds(clock, intervalMs);
  ofClock.set(intervalMs, found);
  return found;
}
