/**
 * A limit on requests a second, with a burst: the client's share in protecting the API server.
 */
import type { Clock } from '../../time/clock.ts';

export interface RequestRateOptions {
  /** Requests a second in the long run; 0 for no limit. */
  readonly perSecond: number;
  /** Requests that may go out at once after a quiet time; at least 1. */
  readonly burst: number;
  readonly clock: Clock;
}

export class RequestRate {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #burstMs: number;
  /** When the request after the last one would be due, were there no burst. */
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor({ perSecond, burst, clock }: RequestRateOptions) {
    this.#clock = clock;
    this.#intervalMs = perSecond > 0 ? 1000 / perSecond : 0;
    this.#burstMs = this.#intervalMs * (Math.max(1, burst) - 1);
  }

  /** Resolves when the next request may go out, in the order of the calls. Rejects with the signal's reason. */
  async turn(signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const dueMs = Math.max(this.#dueMs, nowMs - this.#burstMs);
    this.#dueMs = dueMs + this.#intervalMs;
    if (dueMs > nowMs) await this.#clock.sleep(dueMs - nowMs, signal);
  }
}
