/**
 * Fifth stage: measures how long a change takes from here until the local etcd confirms it.
 *
 * One sample at a time for each kind of keys, so that measuring costs nothing under load. Listings are left out: the keys
 * that they name may have changed long before. So are changes after which the section has nothing new to write.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Section } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { Stage } from '../stage.ts';

export interface MeasureOptions {
  readonly section: Pick<Section, 'stats' | 'flushed'>;
  readonly clock: Clock;
  /** Ends the sample under way. */
  readonly signal: AbortSignal;
  readonly onPropagated: (seconds: number) => void;
  readonly next: Stage;
}

export class MeasureStage implements Stage {
  readonly #options: MeasureOptions;
  #isListing = true;
  #isSampling = false;

  constructor(options: MeasureOptions) {
    this.#options = options;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const waiting = this.#waiting();
    this.#options.next.upsert(key, value);
    this.#sampleSince(waiting);
  }

  remove(key: EtcdKey): void {
    const waiting = this.#waiting();
    this.#options.next.remove(key);
    this.#sampleSince(waiting);
  }

  keep(key: EtcdKey): void {
    this.#options.next.keep(key);
  }

  listed(): void {
    this.#isListing = false;
    this.#options.next.listed();
  }

  interrupted(reason: string): void {
    this.#isListing = true;
    this.#options.next.interrupted(reason);
  }

  /** Keys that wait to be written; undefined where no sample may begin. */
  #waiting(): number | undefined {
    return this.#isListing || this.#isSampling ? undefined : this.#options.section.stats.pending;
  }

  #sampleSince(waiting: number | undefined): void {
    const { section, clock, signal, onPropagated } = this.#options;
    if (waiting === undefined || section.stats.pending <= waiting) return;
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
