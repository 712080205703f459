/**
 * How much of its keys and bytes one remote cluster has used up, over all kinds of keys, during one session.
 *
 * Only live keys count: those that the last listing of a kind, or the one under way, and the changes after it have named.
 * A new listing starts from zero, and so does a new session. A kind that is not mirrored counts nothing, however long the
 * local etcd takes to remove its keys.
 */
import { type BoundExceededError, NO_USAGE, type RemoteBounds, type StoppingBound, type Usage } from './bounds.ts';

/** What one kind of keys takes of the quota. */
export class QuotaPart {
  #keys = 0;
  #bytes = 0;
  /** The size of the listing under way, as the remote announces it; 0 between listings. */
  announced = 0;

  /** A listing that announces more keys than it has named so far counts as a whole. */
  keysWith(growth: number): number {
    return Math.max(this.#keys + growth, this.announced);
  }

  get bytes(): number {
    return this.#bytes;
  }

  add({ keys, bytes }: Usage): void {
    this.#keys += keys;
    this.#bytes += bytes;
  }

  /** Nothing is live. */
  clear(): void {
    this.#keys = 0;
    this.#bytes = 0;
    this.announced = 0;
  }
}

export interface QuotaOptions {
  readonly bounds: RemoteBounds;
  /** What the local etcd holds of the remote, or is about to; undefined where it holds nothing of what is counted. */
  readonly held?: () => Usage;
  /** Lower limits do not count. @default none */
  readonly minimum?: Usage;
  /** Called once, with the first bound that the remote exceeds. */
  readonly onExceeded: (reason: BoundExceededError) => void;
}

/** Shared by the stages of all kinds of one remote. Once a bound is exceeded no stage passes anything on. */
export class Quota {
  readonly bounds: RemoteBounds;
  readonly #options: QuotaOptions;
  readonly #parts: QuotaPart[] = [];
  #isExceeded = false;

  constructor(options: QuotaOptions) {
    this.bounds = options.bounds;
    this.#options = options;
  }

  get isExceeded(): boolean {
    return this.#isExceeded;
  }

  /** The local etcd may hold as much again: see `announce`. */
  get hasRoom(): boolean {
    const { keys: maxKeys, bytes: maxBytes } = this.bounds.limits;
    const { keys, bytes } = this.#options.held?.() ?? NO_USAGE;
    return (maxKeys === 0 || keys < maxKeys) && (maxBytes === 0 || bytes < maxBytes);
  }

  /** The part of one more kind of keys. */
  part(): QuotaPart {
    const part = new QuotaPart();
    this.#parts.push(part);
    return part;
  }

  /** False where the remote exceeds a bound once `part` has grown by `growth`. */
  admits(part: QuotaPart, growth: Usage): boolean {
    let keys = 0;
    let { bytes } = growth;
    for (const each of this.#parts) {
      keys += each.keysWith(each === part ? growth.keys : 0);
      bytes += each.bytes;
    }
    return this.#isWithin({ keys, bytes }, this.bounds.limits);
  }

  /** The listing of `part` has `keys` keys, as the remote says before it names them. False where that exceeds a bound. */
  announce(part: QuotaPart, keys: number): boolean {
    part.announced = keys;
    if (!this.admits(part, { keys: 0, bytes: 0 })) return false;
    // Until a listing is complete, the local etcd also holds the keys that it replaces. It holds no more than that:
    // listings that never complete, each with other keys, must not fill the local etcd.
    const held = this.#options.held?.();
    return held === undefined || this.#isWithin(held, this.bounds.ceiling(held));
  }

  /** One change more. False where the remote exceeds its rate. */
  takeChange(): boolean {
    return this.bounds.takeChange() || this.#exceed('change-rate');
  }

  #isWithin(usage: Usage, most: Usage): boolean {
    const { limits } = this.bounds;
    const { minimum = NO_USAGE } = this.#options;
    if (limits.keys > 0 && usage.keys > Math.max(most.keys, minimum.keys)) return this.#exceed('keys');
    if (limits.bytes > 0 && usage.bytes > Math.max(most.bytes, minimum.bytes)) return this.#exceed('bytes');
    return true;
  }

  #exceed(bound: StoppingBound): false {
    if (this.#isExceeded) return false;
    this.#isExceeded = true;
    this.bounds.count(bound);
    this.#options.onExceeded(this.bounds.exceedance(bound));
    return false;
  }
}
