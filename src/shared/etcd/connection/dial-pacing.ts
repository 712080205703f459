/**
 * When endpoints that cannot be reached are dialled again.
 *
 * One that is away is dialled every 500 ms, so that its return is seen at once. When many are away, as when the own network
 * fails, all attempts together stay at 30 a second, and each endpoint waits as many times longer.
 */

import { ETCD_REDIAL_BURST_MS, ETCD_REDIALS_PER_SECOND } from '../../limits.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

const INTERVAL_MS = 1000 / ETCD_REDIALS_PER_SECOND;

/** Shared by all clients whose attempts are to be bounded together. */
export class DialPacing {
  /** Connections are timed by it, whatever clock their users have. */
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
