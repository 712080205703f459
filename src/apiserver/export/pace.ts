/**
 * Limits how often the value of one object is written, by its size.
 *
 * etcd sends each new value of a key to every agent of every cluster that watches it. The value of a service has all of its
 * backends, so each of their changes is paid for with all of them. After a large value the next one of the same
 * object waits for a time that grows with its size, and has all changes until then. The first change after that time, or of an
 * object with a small value, does not wait.
 */
import type { Clock } from '../../shared/time/clock.ts';

/** Values up to this size are written as often as they change: a service of some 500 backends. */
const MAX_UNPACED_BYTES = 64 * 1024;

/** Bytes a second of one object, up to a size for which MAX_PACE_MS is reached: 128 KiB, some 1,000 backends. */
const MAX_PACED_BYTES_PER_SECOND = 256 * 1024;

/** A change waits no longer, whatever the size: the agents of other clusters use backends that are gone until then. */
const MAX_PACE_MS = 500;

export interface PaceOptions {
  /** The wait of an object that has changed since is over. Must not throw. */
  readonly due: (id: string) => void;
  readonly clock: Clock;
  /** Nothing is due any more once it is aborted. */
  readonly signal: AbortSignal;
}

export class Pace {
  readonly #options: PaceOptions;
  /** Objects whose last value was large, until they may be written again, and whether they have changed since. */
  readonly #resting = new Map<string, boolean>();

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  /** Whether a change of `id` may be written now; otherwise `due` is called with it later, once for all changes until then. */
  admits(id: string): boolean {
    if (!this.#resting.has(id)) return true;
    this.#resting.set(id, true);
    return false;
  }

  /** A value of so many bytes was written for `id`. */
  wrote(id: string, bytes: number): void {
    if (bytes <= MAX_UNPACED_BYTES || this.#resting.has(id)) return;
    this.#resting.set(id, false);
    const { clock, signal } = this.#options;
    const waitMs = Math.min(MAX_PACE_MS, (1000 * bytes) / MAX_PACED_BYTES_PER_SECOND);
    clock.sleep(waitMs, signal).then(
      () => this.#wake(id),
      () => undefined, // The daemon is shutting down.
    );
  }

  /** The changes of `id` until now are no longer to be written. */
  drop(id: string): void {
    if (this.#resting.has(id)) this.#resting.set(id, false);
  }

  #wake(id: string): void {
    const hasChanged = this.#resting.get(id);
    this.#resting.delete(id);
    if (hasChanged) this.#options.due(id);
  }
}
