/**
 * How much one remote cluster may be: keys, bytes, sizes, and changes per second.
 *
 * Usage is what is mirrored of a kind, or, while it is being listed, what the listing has shown so far. Thus a
 * remote that replaces all of its keys is not taken for one that has twice as many.
 */
import type { Clock } from '../shared/clock.ts';
import { ProgramError } from '../shared/errors.ts';
import { REMOTE_CHANGES_BURST_SECONDS } from '../shared/limits.ts';

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
  #listing: { keys: number; bytes: number; announced: number } | undefined;
  #seen = NOTHING;

  /** `held`: what is mirrored. */
  constructor(held: () => Usage) {
    this.#held = held;
  }

  get held(): Usage {
    return this.#held();
  }

  /** As of the last `refresh`. */
  get seen(): Usage {
    return this.#seen;
  }

  get isListing(): boolean {
    return this.#listing !== undefined;
  }

  refresh(): Usage {
    const listing = this.#listing;
    this.#seen = listing ? { keys: Math.max(listing.keys, listing.announced), bytes: listing.bytes } : this.#held();
    return this.#seen;
  }

  /** A listing begins. */
  begin(): void {
    this.#listing = { keys: 0, bytes: 0, announced: 0 };
  }

  announce(keys: number): void {
    if (this.#listing !== undefined) this.#listing.announced = keys;
  }

  list(bytes: number): void {
    if (this.#listing === undefined) return;
    this.#listing.keys += 1;
    this.#listing.bytes += bytes;
  }

  /** The listing is complete, or given up. */
  end(): void {
    this.#listing = undefined;
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

  /** What is mirrored, of all kinds. */
  get held(): Usage {
    return this.#sum('held');
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

  /** One change more; false where that is too many for the time. */
  takeChange(): boolean {
    this.#changes += 1;
    const rate = this.limits['change-rate'];
    if (rate === 0) return true;
    const nowMs = this.#clock.monotonicMs();
    const gained = ((nowMs - this.#filledMs) / 1000) * rate;
    this.#tokens = Math.min(this.#tokens + gained, rate * REMOTE_CHANGES_BURST_SECONDS);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** The bound that is exceeded once `share` has grown by `growth`. */
  exceededWith(share: Share, growth: Usage): 'keys' | 'bytes' | undefined {
    const own = share.refresh();
    return this.#exceededBy(share === this.canaries ? own : this.#sum('seen'), growth, 1);
  }

  /**
   * The bound that what is held exceeds twice. While a listing is under way what it replaces is still held beside
   * it, but no more than that: a remote whose listings never end, each with other keys, does not fill the local etcd.
   */
  get overflow(): 'keys' | 'bytes' | undefined {
    return this.#exceededBy(this.held, NOTHING, 2);
  }

  #exceededBy(usage: Usage, growth: Usage, times: number): 'keys' | 'bytes' | undefined {
    const { keys, bytes } = this.limits;
    if (keys > 0 && usage.keys + growth.keys > keys * times) return 'keys';
    if (bytes > 0 && usage.bytes + growth.bytes > bytes * times) return 'bytes';
    return undefined;
  }

  #sum(what: 'held' | 'seen'): Usage {
    let keys = 0;
    let bytes = 0;
    for (const share of this.#shares) {
      const usage = share[what];
      keys += usage.keys;
      bytes += usage.bytes;
    }
    return { keys, bytes };
  }
}
