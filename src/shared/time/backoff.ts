/**
 * Exponential back-off with equal jitter.
 *
 * The delay of attempt n is drawn from [full / 2, full], where full is `min * 2^n`, at most `max`: clients that fail together do
 * not retry together, and no delay exceeds `max`.
 */
export interface BackoffOptions {
  readonly minMs: number;
  /** Or a function that returns it for each attempt. */
  readonly maxMs: number | (() => number);
  /** Uniform in [0, 1); injected by tests. */
  readonly random?: () => number;
}

export class Backoff {
  readonly #options: BackoffOptions;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Failures since the last reset. */
  get attempts(): number {
    return this.#attempt;
  }

  /** The delay before the next attempt, milliseconds. Each call counts as one more failure. */
  nextMs(): number {
    const { minMs, maxMs, random = Math.random } = this.#options;
    const cap = typeof maxMs === 'number' ? maxMs : maxMs();
    const full = Math.min(cap, minMs * 2 ** Math.min(this.#attempt, 40));
    this.#attempt += 1;
    return full / 2 + (full / 2) * random();
  }

  /** To be called when an attempt succeeded. */
  reset(): void {
    this.#attempt = 0;
  }
}
