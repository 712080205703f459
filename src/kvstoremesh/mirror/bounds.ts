/**
 * The bounds of one remote cluster: keys, bytes, sizes, and changes per second. Keys and bytes are counted in quota.ts.
 */

import { ProgramError } from '../../shared/errors.ts';
import { REMOTE_CHANGES_BURST_SECONDS } from '../../shared/limits.ts';
import type { Clock } from '../../shared/time/clock.ts';

export const BOUND_NAMES = ['keys', 'bytes', 'key-size', 'value-size', 'change-rate'] as const;
export type BoundName = (typeof BOUND_NAMES)[number];

/** The bounds that stop a remote; sizes only refuse a key. */
export type StoppingBound = Exclude<BoundName, 'key-size' | 'value-size'>;

/** The bounds of every remote by name; 0 for none. Sizes in bytes, the rate in changes per second. */
export type RemoteLimits = Readonly<Record<BoundName, number>>;

/** The remote exceeds a bound: mirroring stops, and its mirrored keys stay as they are. */
export class BoundExceededError extends ProgramError {
  readonly code = 'REMOTE_BOUND_EXCEEDED';
  readonly retriable = true;
  readonly bound: StoppingBound;

  constructor(bound: StoppingBound, limit: number) {
    super(`${WHAT[bound](limit)}; its mirrored keys stay as they are. Check what ${LOOK[bound]}, or raise --remote-max-${bound}`);
    this.bound = bound;
  }
}

const WHAT: Readonly<Record<StoppingBound, (limit: number) => string>> = {
  keys: (limit) => `the remote has more than ${limit} keys`,
  bytes: (limit) => `the keys and values of the remote exceed ${limit} bytes`,
  'change-rate': (limit) => `the remote changed more than ${limit} keys a second for too long`,
};

const LOOK: Readonly<Record<StoppingBound, string>> = {
  keys: 'fills its etcd',
  bytes: 'fills its etcd',
  'change-rate': 'writes to its etcd',
};

export class RemoteBounds {
  readonly limits: RemoteLimits;
  readonly #clock: Clock;
  readonly #exceeded = new Map<BoundName, number>(BOUND_NAMES.map((bound) => [bound, 0]));
  #changes = 0;
  #tokens: number;
  #filledMs: number;

  constructor(limits: RemoteLimits, clock: Clock) {
    this.limits = limits;
    this.#clock = clock;
    this.#tokens = limits['change-rate'] * REMOTE_CHANGES_BURST_SECONDS;
    this.#filledMs = clock.monotonicMs();
  }

  /** Changes received, listings not counted. */
  get changes(): number {
    return this.#changes;
  }

  /** How often the remote, or one of its keys, exceeded `bound`. */
  exceeded(bound: BoundName): number {
    return this.#exceeded.get(bound) ?? 0;
  }

  count(bound: BoundName): void {
    this.#exceeded.set(bound, this.exceeded(bound) + 1);
  }

  /** Takes `count` changes, or anything else that the remote sends unasked. False where that exceeds the rate. */
  takeChange(count = 1): boolean {
    this.#changes += count;
    const rate = this.limits['change-rate'];
    if (rate === 0) return true;
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#filledMs) / 1000) * rate;
    this.#tokens = Math.min(this.#tokens + gained, rate * REMOTE_CHANGES_BURST_SECONDS);
    this.#filledMs = nowMs;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }
}
