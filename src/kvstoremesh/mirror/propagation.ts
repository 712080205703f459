/**
 * How long changes of a remote take from here on: from being read to being confirmed by the local etcd.
 *
 * A sample at a time for each kind of keys, so that it costs nothing where there is much to do. Listings are left out:
 * what they name may have changed long before.
 */

import type { Section } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';

export interface PropagationOptions {
  readonly section: Section;
  readonly clock: Clock;
  /** Ends the sample under way. */
  readonly signal: AbortSignal;
  readonly onPropagated: (seconds: number) => void;
}

export class Propagation {
  readonly #options: PropagationOptions;
  #isListing = true;
  #isSampling = false;

  constructor(options: PropagationOptions) {
    this.#options = options;
  }

  interrupted(): void {
    this.#isListing = true;
  }

  listed(): void {
    this.#isListing = false;
  }

  /** `apply` tells the section of a change. One that is nothing new to it is no sample. */
  change(apply: () => void): void {
    const { section } = this.#options;
    if (this.#isListing || this.#isSampling) {
      apply();
      return;
    }
    const waiting = section.stats.pending;
    apply();
    if (section.stats.pending > waiting) this.#sample();
  }

  #sample(): void {
    const { section, clock, signal, onPropagated } = this.#options;
    const readMs = clock.monotonicMs();
    this.#isSampling = true;
    void section
      .flushed(signal)
      .then(
        () => onPropagated((clock.monotonicMs() - readMs) / 1000),
        () => undefined,
      )
      .finally(() => {
        this.#isSampling = false;
      });
  }
}
