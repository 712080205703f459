/**
 * Whether the etcd can be reached, derived from everything that is sent and received.
 *
 * One log line per change: connected, lost, and lost for another reason than before.
 */

import { generalRemedy } from '../../diagnosis/pod-checks.ts';
import { errorCode } from '../../errors.ts';
import type { Logger } from '../../process/log.ts';
import type { Clock } from '../../time/clock.ts';
import { checkOf } from '../errors.ts';
import type { EtcdConnectionState } from '../types.ts';

export interface ConnectionTrackerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onChange: ((state: EtcdConnectionState) => void) | undefined;
}

export class ConnectionTracker {
  readonly #options: ConnectionTrackerOptions;
  #isConnected = false;
  #clusterId: bigint | undefined;
  #lastContactMs: number | undefined;
  #lastError: Error | undefined;

  constructor(options: ConnectionTrackerOptions) {
    this.#options = options;
  }

  get state(): EtcdConnectionState {
    return {
      connected: this.#isConnected,
      clusterId: this.#clusterId?.toString(16),
      lastContactMs: this.#lastContactMs,
      lastError: this.#lastError,
    };
  }

  /** An answer or event came from `clusterId`. */
  contact(clusterId: bigint): void {
    this.#lastContactMs = this.#options.clock.monotonicMs();
    if (this.#isConnected && this.#clusterId === clusterId) return;
    const wasConnected = this.#isConnected;
    this.#isConnected = true;
    this.#clusterId = clusterId;
    this.#lastError = undefined;
    this.#changed(() =>
      this.#options.log.info({ clusterId: clusterId.toString(16) }, wasConnected ? 'etcd cluster ID changed' : 'etcd connected'),
    );
  }

  /** An attempt to reach the etcd failed, or what answered is not the etcd it was. */
  failed(error: Error): void {
    const wasConnected = this.#isConnected;
    const isNews = wasConnected || this.#lastError === undefined || errorCode(this.#lastError) !== errorCode(error);
    this.#isConnected = false;
    this.#lastError = error;
    if (!isNews) return;
    const check = checkOf(error);
    const fields = { code: errorCode(error), reason: error.message, check, remedy: generalRemedy(check) };
    this.#changed(() => this.#options.log.warn(fields, wasConnected ? 'etcd connection lost' : 'etcd unavailable'));
  }

  /** The etcd rejected a request: it can be reached, though it may not be usable. */
  refused(error: Error): void {
    if (!this.#isConnected) this.failed(error);
  }

  #changed(log: () => void): void {
    log();
    this.#options.onChange?.(this.state);
  }
}
