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

/** Keys, and the bytes of their own parts and values. */
export interface Usage {
  readonly keys: number;
  readonly bytes: number;
}

export const NO_USAGE: Usage = { keys: 0, bytes: 0 };

/** The remote exceeds a bound: mirroring stops, and its mirrored keys stay as they are. */
export class BoundExceededError extends ProgramError {
  readonly code = 'REMOTE_BOUND_EXCEEDED';
  readonly retriable = true;
  readonly bound: StoppingBound;

  /** `setting`: where the limit comes from. */
  constructor(bound: StoppingBound, limit: number, setting = `--remote-max-${bound}`) {
    super(`${WHAT[bound](limit)}; its mirrored keys stay as they are. Check what ${LOOK[bound]}, or raise ${setting}`);
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

/** Limits of one remote instead of those of all, 0 for none; those that are undefined stay. */
export type OwnLimits = Readonly<Record<StoppingBound, number | undefined>>;

/** How the import policy names them. */
const QUOTAS: Readonly<Record<StoppingBound, string>> = {
  keys: 'quota.keys',
  bytes: 'quota.bytes',
  'change-rate': 'quota.changesPerSecond',
};

export class RemoteBounds {
  readonly #general: RemoteLimits;
  #own: OwnLimits | undefined;
  #limits: RemoteLimits;
  #heldBefore = NO_USAGE;
  readonly #clock: Clock;
  readonly #exceeded = new Map<BoundName, number>(BOUND_NAMES.map((bound) => [bound, 0]));
  #changes = 0;
  #tokens: number;
  #filledMs: number;

  constructor(limits: RemoteLimits, clock: Clock) {
    this.#general = limits;
    this.#limits = limits;
    this.#clock = clock;
    this.#tokens = limits['change-rate'] * REMOTE_CHANGES_BURST_SECONDS;
    this.#filledMs = clock.monotonicMs();
  }

  get limits(): RemoteLimits {
    return this.#limits;
  }

  /** From now on; a new rate begins with its whole burst. `held`: what the local etcd holds of the remote. */
  setOwn(own: OwnLimits | undefined, held: Usage): void {
    this.#own = own;
    const given = Object.entries(own ?? {}).filter(([, limit]) => limit !== undefined);
    const { keys, bytes, 'change-rate': rate } = this.#limits;
    this.#limits = { ...this.#general, ...Object.fromEntries(given) };
    if (this.#limits['change-rate'] !== rate) this.#tokens = this.#limits['change-rate'] * REMOTE_CHANGES_BURST_SECONDS;
    if (this.#limits.keys !== keys || this.#limits.bytes !== bytes) this.#heldBefore = held;
  }

  /**
   * What the local etcd may hold while a listing replaces its keys: as much as the limits allow, or as it held when they were
   * lowered and has not been withdrawn since; and beside that as much as the limits allow. `held`: what it holds now.
   */
  ceiling(held: Usage): Usage {
    const { keys, bytes } = this.#limits;
    const before = this.#heldBefore;
    this.#heldBefore = { keys: Math.min(before.keys, held.keys), bytes: Math.min(before.bytes, held.bytes) };
    return { keys: Math.max(this.#heldBefore.keys, keys) + keys, bytes: Math.max(this.#heldBefore.bytes, bytes) + bytes };
  }

  /** The remote exceeds `bound`. */
  exceedance(bound: StoppingBound): BoundExceededError {
    const isOwn = this.#own?.[bound] !== undefined;
    return new BoundExceededError(bound, this.limits[bound], isOwn ? `${QUOTAS[bound]} in the import policy` : undefined);
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
