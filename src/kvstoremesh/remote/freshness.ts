/**
 * How old at most what is served of a remote is: the time since it was last proven to be up to date.
 *
 * The proof is an answer of the remote's quorum over a connection that has listed every kind, as soon as all that had
 * arrived by then is confirmed by the local etcd. It is as old as the question. Watches that have gone deaf do not spoil
 * it: they are looked for by the heartbeat.
 */
import type { Clock } from '../../shared/time/clock.ts';

export class Freshness {
  readonly #clock: Clock;
  /** Monotonic milliseconds. */
  #provenMs: number;
  #isProving = false;

  /** Begins now: what was never proven is as old as this. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#provenMs = clock.monotonicMs();
  }

  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#provenMs;
  }

  /**
   * The remote has answered what it was asked at `askedMs`. `confirmed` resolves when what had arrived until then is
   * confirmed, and rejects where that is given up; while one proof is under way, others are not begun.
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
