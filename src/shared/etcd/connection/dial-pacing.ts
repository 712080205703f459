/**
 * When unreachable endpoints are dialed again.
 *
 * A single unreachable endpoint is dialed every 500 ms, so that its return is detected quickly. When many are unreachable,
 * for example because the local network fails, all attempts together are limited to 30 per second.
 */

import { ETCD_REDIAL_BURST_MS, ETCD_REDIALS_PER_SECOND } from '../../limits.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

const INTERVAL_MS = 1000 / ETCD_REDIALS_PER_SECOND;

/** Shared by all clients whose attempts are to be bounded together. */
export class DialPacing {
  /** The clock for connections, independent of the clock of their users. */
  readonly clock: Clock;
  /** When all attempts that have a place are over, were they made one after the other. */
  #fullUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  /** The time of the next attempt that is to come at `wantedMs` at the earliest, monotonic milliseconds. It counts as made. */
  place(wantedMs: number): number {
    const placeMs = Math.max(wantedMs, this.#fullUntilMs - ETCD_REDIAL_BURST_MS);
    this.#fullUntilMs = Math.max(wantedMs, this.#fullUntilMs) + INTERVAL_MS;
    return placeMs;
  }
}
