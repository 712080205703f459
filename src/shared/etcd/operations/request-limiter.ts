/**
 * Limits requests per second and requests in flight; first come, first served.
 *
 * Used if the configuration sets a limit. A transaction counts as one request, as does a page of
 * a list; streams do not count.
 */

import { MAX_QUEUED_ETCD_REQUESTS } from '../../limits.ts';
import { ENDED } from '../../time/abort.ts';
import type { Clock } from '../../time/clock.ts';
import { QueueFullError } from '../errors.ts';

export interface RequestLimits {
  /** Requests a second, in bursts of at most a second's worth. No limit where absent. */
  readonly qps?: number | undefined;
  readonly maxInFlight?: number | undefined;
}

interface Waiter {
  readonly grant: () => void;
}

export class RequestLimiter {
  readonly #clock: Clock;
  readonly #maxInFlight: number;
  readonly #waiting = new Set<Waiter>();
  #qps: number;
  #tokens: number;
  #countedMs: number;
  #inFlight = 0;
  #timer: AbortController | undefined;

  constructor({ qps, maxInFlight }: RequestLimits, clock: Clock) {
    this.#clock = clock;
    this.#maxInFlight = maxInFlight ?? Number.POSITIVE_INFINITY;
    this.#qps = qps ?? Number.POSITIVE_INFINITY;
    this.#tokens = this.#burst;
    this.#countedMs = clock.monotonicMs();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Requests a second, and at once after a pause; undefined for no limit. */
  get qps(): number | undefined {
    return Number.isFinite(this.#qps) ? this.#qps : undefined;
  }

  get maxInFlight(): number | undefined {
    return Number.isFinite(this.#maxInFlight) ? this.#maxInFlight : undefined;
  }

  /** Another rate from now on, such as after the first load; undefined for none. */
  setQps(qps: number | undefined): void {
    this.#refill();
    this.#qps = qps ?? Number.POSITIVE_INFINITY;
    this.#tokens = Math.min(this.#tokens, this.#burst);
    this.#timer?.abort(ENDED);
    this.#timer = undefined;
    this.#grantWaiting();
  }

  /** Resolves with a function to be called when the request has been answered. Rejects with QueueFullError, or with the signal's reason. */
  acquire(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (this.#waiting.size >= MAX_QUEUED_ETCD_REQUESTS) throw new QueueFullError(this.#waiting.size);
      const onAbort = () => {
        this.#waiting.delete(waiter);
        if (this.#waiting.size === 0) this.#timer?.abort(ENDED);
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve(this.#releaser());
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      this.#grantWaiting();
    });
  }

  get #burst(): number {
    return Math.max(1, this.#qps);
  }

  #releaser(): () => void {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#inFlight -= 1;
      this.#grantWaiting();
    };
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    if (Number.isFinite(this.#qps)) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((nowMs - this.#countedMs) / 1000) * this.#qps);
    } else {
      this.#tokens = Number.POSITIVE_INFINITY;
    }
    this.#countedMs = nowMs;
  }

  #grantWaiting(): void {
    this.#refill();
    for (const waiter of this.#waiting) {
      if (this.#inFlight >= this.#maxInFlight) return;
      if (this.#tokens < 1) {
        this.#grantLater();
        return;
      }
      this.#tokens -= 1;
      this.#inFlight += 1;
      this.#waiting.delete(waiter);
      waiter.grant();
    }
  }

  /** When the next token is available. */
  #grantLater(): void {
    if (this.#timer !== undefined && !this.#timer.signal.aborted) return;
    const timer = new AbortController();
    this.#timer = timer;
    const waitMs = Math.max(1, ((1 - this.#tokens) / this.#qps) * 1000);
    void this.#clock.sleep(waitMs, timer.signal).then(
      () => {
        this.#timer = undefined;
        this.#grantWaiting();
      },
      () => undefined,
    );
  }
}
