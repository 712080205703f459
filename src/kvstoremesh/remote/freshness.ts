/**
 * The staleness of a remote's mirror: the time since it was last known to be up to date.
 *
 * The proof is a response of the remote's quorum over a connection that has listed every kind, once everything
 * received until then is confirmed by the local etcd. Its time is that of the request. Watches that receive no events do not
 * affect it: the heartbeat detects them.
 */
import type { Clock } from '../../shared/time/clock.ts';

export class Freshness {
  readonly #clock: Clock;
  /** Monotonic milliseconds. */
  #provenMs: number;
  #isProving = false;

  /** Starts now: a remote without a proof counts from here. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#provenMs = clock.monotonicMs();
  }

  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#provenMs;
  }

  /**
   * The remote has responded to a request sent at `askedMs`. `confirmed` resolves when everything received until then is
   * confirmed, and rejects when that is cancelled; while one proof is in progress, no other is started.
   */
  answered(askedMs: number, confirmed: () => Promise<unknown>): void {
    if (this.#isProving) return;
    this.#isProving = true;
    void confirmed()
      .then(
        () => {
          this.#provenMs = askedMs;
        },
        () => undefined,
      )
      .finally(() => {
        this.#isProving = false;
      });
  }
}
