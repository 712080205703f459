/**
 * How much one remote cluster may be: keys, bytes, sizes, and changes per second.
 *
 * What counts is live: the keys that the last listing of a kind, or the one under way, and the changes after it have
 * named. What an earlier listing named counts no more as soon as the next one begins, and nothing counts of a kind that is
 * not mirrored, however long the local etcd takes to remove it.
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

/** Keys, and bytes of their own parts and values. */
export interface Usage {
  readonly keys: number;
  readonly bytes: number;
}

const NOTHING: Usage = { keys: 0, bytes: 0 };

/** The remote is too much: it stops as it is. */
export class BoundExceededError extends ProgramError {
  readonly code = 'REMOTE_BOUND_EXCEEDED';
  readonly retriable = true;
  readonly bound: StoppingBound;

  constructor(bound: StoppingBound, limit: number) {
    super(
      `${WHAT[bound](limit)}; what is mirrored of it stays as it is. See what ${LOOK[bound]}, or raise --remote-max-${bound}`,
    );
    this.bound = bound;
  }
}

const WHAT: Readonly<Record<StoppingBound, (limit: number) => string>> = {
  keys: (limit) => `the remote has more than ${limit} keys`,
  bytes: (limit) => `the keys and values of the remote have more than ${limit} bytes`,
  'change-rate': (limit) => `the remote has changed more than ${limit} keys a second for too long`,
};

const LOOK: Readonly<Record<StoppingBound, string>> = {
  keys: 'fills its etcd',
  bytes: 'fills its etcd',
  'change-rate': 'writes to its etcd',
};

/** What one kind of keys takes of the bounds. */
export class Share {
  readonly #held: () => Usage;
  #keys = 0;
  #bytes = 0;
  #announced = 0;
  #isListing = false;

  /** `held`: what there is in the local etcd, or waits to be. */
  constructor(held: () => Usage) {
    this.#held = held;
  }

  get held(): Usage {
    return this.#held();
  }

  get isListing(): boolean {
    return this.#isListing;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Live keys once there are `growth` more. A listing has those that it has announced. */
  keysWith(growth: number): number {
    return Math.max(this.#keys + growth, this.#announced);
  }

  /** A listing begins. */
  begin(): void {
    this.clear();
    this.#isListing = true;
  }

  announce(keys: number): void {
    if (this.#isListing) this.#announced = keys;
  }

  /** The own part of a key has `keyBytes`, its value had `before` and has `after`; undefined where there was, or is, none. */
  change(keyBytes: number, before: number | undefined, after: number | undefined): void {
    this.#keys += Number(after !== undefined) - Number(before !== undefined);
    this.#bytes += (after === undefined ? 0 : keyBytes + after) - (before === undefined ? 0 : keyBytes + before);
  }

  /** The listing is complete, or given up. */
  end(): void {
    this.#isListing = false;
    this.#announced = 0;
  }

  /** Nothing is live. */
  clear(): void {
    this.end();
    this.#keys = 0;
    this.#bytes = 0;
  }
}

export class RemoteBounds {
  readonly limits: RemoteLimits;
  readonly #clock: Clock;
  readonly #shares: Share[] = [];
  /** For the canaries: bounded like the keys, but apart from them, and never held. */
  readonly canaries = new Share(() => NOTHING);
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

  /** What there is in the local etcd, or waits to be, of all kinds. */
  get held(): Usage {
    let keys = 0;
    let bytes = 0;
    for (const { held } of this.#shares) {
      keys += held.keys;
      bytes += held.bytes;
    }
    return { keys, bytes };
  }

  /** Changes received, listings not counted. */
  get changes(): number {
    return this.#changes;
  }

  /** How often `bound` was exceeded: by the remote, or by a single key. */
  exceeded(bound: BoundName): number {
    return this.#exceeded.get(bound) ?? 0;
  }

  share(held: () => Usage): Share {
    const share = new Share(held);
    this.#shares.push(share);
    return share;
  }

  count(bound: BoundName): void {
    this.#exceeded.set(bound, this.exceeded(bound) + 1);
  }

  /** `count` changes more, or whatever else the remote sends without being asked; false where that is too many for the time. */
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

  /** The bound that is exceeded once `share` has grown by `growth`. */
  exceededWith(share: Share, growth: Usage): 'keys' | 'bytes' | undefined {
    const shares = share === this.canaries ? [share] : this.#shares;
    let keys = 0;
    let bytes = growth.bytes;
    for (const each of shares) {
      keys += each.keysWith(each === share ? growth.keys : 0);
      bytes += each.bytes;
    }
    return this.#exceededBy({ keys, bytes }, 1);
  }

  /**
   * The bound that what is held exceeds twice. While a listing is under way what it replaces is still held beside
   * it, but no more than that: a remote whose listings never end, each with other keys, does not fill the local etcd.
   */
  get overflow(): 'keys' | 'bytes' | undefined {
    return this.#exceededBy(this.held, 2);
  }

  #exceededBy(usage: Usage, times: number): 'keys' | 'bytes' | undefined {
    const { keys, bytes } = this.limits;
    if (keys > 0 && usage.keys > keys * times) return 'keys';
    if (bytes > 0 && usage.bytes > bytes * times) return 'bytes';
    return undefined;
  }
}
