/**
 * Withdraws the services of a remote cluster that has not been heard of for too long.
 *
 * Off unless asked for: that a control plane is away says nothing about the backends it told of. Only what
 * traffic is balanced over goes; nodes and identities stay, because policy is decided on them as long as
 * connections last.
 */
import type { Clock } from '../shared/clock.ts';

export interface CacheTtlOptions {
  /** 0 for never. */
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly onExpired: () => void;
}

export class CacheTtl {
  readonly #options: CacheTtlOptions;
  #running: AbortController | undefined;
  #revocations = 0;

  constructor(options: CacheTtlOptions) {
    this.#options = options;
  }

  /** How often the time ran out. */
  get revocations(): number {
    return this.#revocations;
  }

  /** The cluster is not heard of from now on, where that is not the case already. */
  start(): void {
    const { ttlMs, clock, onExpired } = this.#options;
    if (ttlMs === 0 || this.#running !== undefined) return;
    this.#running = new AbortController();
    clock.sleep(ttlMs, this.#running.signal).then(
      () => {
        this.#revocations += 1;
        onExpired();
      },
      () => undefined,
    );
  }

  /** The cluster has said what it is, or is not configured any more. */
  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
  }
}
