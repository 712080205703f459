/** Clocks that run as a test wants them to. */
import { setImmediate as turn } from 'node:timers/promises';
import { ETCD_CALL_TIMEOUT_MS, ETCD_DIAL_TIMEOUT_MS } from '../../src/shared/limits.ts';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** Stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  nowMs(): number {
    return Date.UTC(2026, 1, 3) + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason as Error);
      };
      const wake = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const sleeper = { dueMs: this.#nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Runs everything that is due within `ms`, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await turn();
    for (;;) {
      const [next] = [...this.#sleepers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      this.#sleepers.delete(next);
      next.wake();
      await turn();
    }
    this.#nowMs = endMs;
    await turn();
  }

  /** Sleeps under way: none is left behind by what has ended. */
  get sleeping(): number {
    return this.#sleepers.size;
  }
}

/** Runs `factor` times as fast as real time, and jumps if a test requests it. */
export class HastyClock implements Clock {
  readonly #factor: number;
  #warpedMs = 0;
  readonly #sleepers = new Set<() => void>();

  constructor(factor = 20) {
    this.#factor = factor;
  }

  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now() * this.#factor + this.#warpedMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    const dueMs = this.monotonicMs() + ms;
    while (this.monotonicMs() < dueMs) {
      const early = new AbortController();
      const wake = () => early.abort();
      this.#sleepers.add(wake);
      const leftMs = Math.max(0, dueMs - this.monotonicMs()) / this.#factor;
      await systemClock.sleep(leftMs, AbortSignal.any([signal, early.signal])).catch(() => undefined);
      this.#sleepers.delete(wake);
      signal.throwIfAborted();
    }
  }

  warp(ms: number): void {
    this.#warpedMs += ms;
    for (const wake of this.#sleepers) wake();
  }
}

/** How long etcd itself may take. */
const ETCD_PATIENCE_MS: readonly number[] = [ETCD_CALL_TIMEOUT_MS, ETCD_DIAL_TIMEOUT_MS];

/** Back-off and other waits take `maxMs` at most; the time that etcd may take is left as it is. */
export function hurriedClock(maxMs: number): Clock {
  const sleep: Clock['sleep'] = (ms, signal) =>
    systemClock.sleep(ETCD_PATIENCE_MS.includes(ms) ? ms : Math.min(ms, maxMs), signal);
  return { ...systemClock, sleep };
}
