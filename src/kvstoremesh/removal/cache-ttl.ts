/**
 * Withdraws the services of a remote cluster that is unreachable for too long.
 *
 * The time runs, as in the original, from when the loss of the connection is detected until the cluster config is read
 * again. A loss before the start of this process, or of its term, has no known time: then it runs from there.
 *
 * Disabled by default: an unreachable control plane does not mean unreachable backends. Only kinds with load-balanced
 * traffic are withdrawn; nodes and identities stay, because policy depends on them as long as
 * connections last.
 */

import { ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS, WITHDRAWAL_BRAKE_INTERVAL_MS } from '../../shared/limits.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { retry } from '../../shared/time/retry.ts';
import type { Mirror } from '../mirror/mirror.ts';

/**
 * Suspends withdrawals while most of the remote clusters are unreachable: then this cluster is probably
 * disconnected, and without its caches it would lose backends that it can still reach.
 */
export class WithdrawalBrake {
  readonly #unheard = new Set<string>();
  readonly #configured: () => number;

  /** `configured`: how many remote clusters there are. */
  constructor(configured: () => number) {
    this.#configured = configured;
  }

  /** More than half of the clusters are unreachable. One cluster alone is no majority. */
  get isOn(): boolean {
    const configured = this.#configured();
    return configured > 1 && this.#unheard.size * 2 > configured;
  }

  /** The number of unreachable clusters. */
  get unheard(): number {
    return this.#unheard.size;
  }

  lost(cluster: string): void {
    this.#unheard.add(cluster);
  }

  heard(cluster: string): void {
    this.#unheard.delete(cluster);
  }
}

export interface CacheTtlOptions {
  readonly cluster: string;
  /** 0 for never. */
  readonly ttlMs: number;
  readonly brake: WithdrawalBrake;
  readonly clock: Clock;
  /** The signal is aborted when the cluster is reachable again. */
  readonly onExpired: (signal: AbortSignal) => void;
  /** The time is over, but most other clusters are unreachable too. */
  readonly onHeld: () => void;
}

export class CacheTtl {
  readonly #options: CacheTtlOptions;
  #running: AbortController | undefined;
  #isHeld = false;
  #revocations = 0;

  constructor(options: CacheTtlOptions) {
    this.#options = options;
  }

  /** How often the services were withdrawn. */
  get revocations(): number {
    return this.#revocations;
  }

  /** The time is over and the services are kept while most clusters are unreachable. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** The cluster is unreachable from now on, unless it already was. */
  start(): void {
    const { cluster, ttlMs, brake } = this.#options;
    brake.lost(cluster);
    if (ttlMs === 0 || this.#running !== undefined) return;
    this.#running = new AbortController();
    this.#expire(this.#running.signal).catch(() => undefined);
  }

  /** The cluster config was read, or the cluster is no longer configured. */
  stop(): void {
    this.#options.brake.heard(this.#options.cluster);
    this.#running?.abort();
    this.#running = undefined;
    this.#isHeld = false;
  }

  /** Rejects when the cluster is reachable before. */
  async #expire(signal: AbortSignal): Promise<void> {
    const { ttlMs, brake, clock, onExpired, onHeld } = this.#options;
    await clock.sleep(ttlMs, signal);
    while (brake.isOn) {
      if (!this.#isHeld) onHeld();
      this.#isHeld = true;
      await clock.sleep(WITHDRAWAL_BRAKE_INTERVAL_MS, signal);
    }
    this.#isHeld = false;
    this.#revocations += 1;
    onExpired(signal);
  }
}

/** Withdraws what `mirrors` have of services. Resolves when that is done, or `signal` is aborted: until then it is tried again. */
export async function withdrawServices(mirrors: readonly Mirror[], clock: Clock, signal: AbortSignal): Promise<void> {
  const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
  // The state of the local etcd is reported by the publisher.
  const withdrawn = mirrors
    .filter(({ mapping }) => mapping.expires)
    .map((mirror) => () => retry(() => mirror.withdraw(signal), { backoff, clock, signal }));
  try {
    for (const withdraw of withdrawn) await withdraw();
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
