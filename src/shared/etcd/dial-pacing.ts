/**
 * How often endpoints that cannot be reached are dialled.
 *
 * One that is away is dialled every 500 ms, so that its return is seen at once. When many are away, as when the own network
 * fails, the wait grows with their number: all attempts together stay at some 30 a second.
 */
import { type Clock, systemClock } from '../clock.ts';
import { ETCD_REDIAL_LONGEST_MS, ETCD_REDIAL_MAX_MS, ETCD_REDIAL_MS_PER_LOST } from '../limits.ts';

/** Shared by all clients whose attempts are to be bounded together. */
export class DialPacing {
  /** Connections are timed by it, whatever clock their users have. */
  readonly clock: Clock;
  readonly #lost = new Set<object>();

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  /** How many endpoints cannot be reached. */
  get lost(): number {
    return this.#lost.size;
  }

  /** The longest wait between two attempts at one endpoint, milliseconds. */
  get maxMs(): number {
    return Math.min(ETCD_REDIAL_LONGEST_MS, Math.max(ETCD_REDIAL_MAX_MS, this.#lost.size * ETCD_REDIAL_MS_PER_LOST));
  }

  /** `endpoint` could not be reached. Idempotent. */
  failed(endpoint: object): void {
    this.#lost.add(endpoint);
  }

  /** `endpoint` is connected, or of no interest any more. Idempotent. */
  settled(endpoint: object): void {
    this.#lost.delete(endpoint);
  }
}
