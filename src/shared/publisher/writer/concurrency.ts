/**
 * The number of transactions in flight: one more while etcd responds at its best latency, half as
 * many as soon as it reports overload.
 */

/** Latency above this multiple of the best one seen means that transactions wait for each other. */
const CONGESTED = 6;

export class Concurrency {
  readonly #max: number;
  #limit = 1;
  #successes = 0;
  #bestMs = Number.POSITIVE_INFINITY;

  constructor(max: number) {
    this.#max = max;
  }

  get limit(): number {
    return this.#limit;
  }

  success(latencyMs: number): void {
    // The best latency fades slowly: the machine that answered it may have become another.
    this.#bestMs = Math.min(this.#bestMs * 1.01, latencyMs);
    this.#successes += 1;
    if (this.#successes < this.#limit) return;
    this.#successes = 0;
    if (latencyMs <= this.#bestMs * CONGESTED) this.#limit = Math.min(this.#max, this.#limit + 1);
    else this.#limit = Math.max(2, this.#limit - 1);
  }

  /** etcd refused or did not answer: one transaction probes until it does. */
  failure(): void {
    this.#limit = 1;
    this.#successes = 0;
  }

  overload(): void {
    this.#limit = Math.max(1, this.#limit >> 1);
    this.#successes = 0;
  }
}
