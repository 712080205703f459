/**
 * Keys of a remote pass within its bounds.
 *
 * What is more than the remote may be ends its session before it goes any further; a single key or value that is
 * too large is left out. Sizes are checked on what the remote sends, before anything is made of it.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import type { KeySink } from '../key-sink.ts';
import { BoundExceededError, type RemoteBounds, type Share, type StoppingBound, type Usage } from './bounds.ts';
import type { RefusedKeys } from './refused-keys.ts';

export interface BoundedSinkOptions {
  readonly bounds: RemoteBounds;
  readonly share: Share;
  /** Bytes that all keys begin with: they are not counted. */
  readonly prefixBytes: number;
  readonly refused: RefusedKeys;
  readonly next: KeySink;
  /** What is live grows by so much when `key` gets a value of so many bytes. */
  readonly growth: (key: EtcdKey, valueBytes: number) => Usage;
  /** Called once, with the bound that is exceeded; nothing passes any more. */
  readonly stop: (reason: BoundExceededError) => void;
}

export class BoundedSink implements Sink {
  readonly #options: BoundedSinkOptions;
  #stopped = false;

  constructor(options: BoundedSinkOptions) {
    this.#options = options;
  }

  /** The listing under way has `keys` keys, as the remote says before it names them. */
  announce(keys: number): void {
    const { bounds, share } = this.#options;
    if (this.#stopped) return;
    share.announce(keys);
    const bound = bounds.exceededWith(share, { keys: 0, bytes: 0 }) ?? bounds.overflow;
    if (bound !== undefined) this.#stop(bound);
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { bounds, refused, next } = this.#options;
    if (this.#stopped) return;
    const bound = this.#exceededBy(key, value.length);
    if (bound !== undefined) {
      this.#stop(bound);
      return;
    }
    refused.forget(key);
    const { 'key-size': maxKeyBytes, 'value-size': maxValueBytes } = bounds.limits;
    if (maxKeyBytes > 0 && key.length > maxKeyBytes) {
      bounds.count('key-size');
      refused.refuse(key, value.length, 'key-size');
    } else if (maxValueBytes > 0 && value.length > maxValueBytes) {
      bounds.count('value-size');
      refused.refuse(key, value.length, 'value-size');
      next.keep(key);
    } else {
      next.upsert(key, value);
    }
  }

  remove(key: EtcdKey): void {
    const { bounds, refused, next } = this.#options;
    if (this.#stopped) return;
    if (!bounds.takeChange()) {
      this.#stop('change-rate');
      return;
    }
    refused.forget(key);
    next.remove(key);
  }

  listed(): void {
    if (this.#stopped) return;
    this.#options.share.end();
    this.#options.next.listed();
  }

  interrupted(reason: string): void {
    if (this.#stopped) return;
    this.#options.share.begin();
    this.#options.refused.restart();
    this.#options.next.interrupted(reason);
  }

  /** The remote sent a notification that names no key. */
  notified(): void {
    if (!this.#stopped && !this.#options.bounds.takeChange()) this.#stop('change-rate');
  }

  #exceededBy(key: EtcdKey, valueBytes: number): StoppingBound | undefined {
    const { bounds, share, prefixBytes, growth } = this.#options;
    const bytes = key.length - prefixBytes + valueBytes;
    if (!share.isListing && !bounds.takeChange()) return 'change-rate';
    // Most keys are far from a bound: what the key had before is looked up only where it matters.
    if (bounds.exceededWith(share, { keys: 1, bytes }) === undefined) return undefined;
    return bounds.exceededWith(share, growth(key, valueBytes));
  }

  #stop(bound: StoppingBound): void {
    const { bounds, share, stop } = this.#options;
    this.#stopped = true;
    share.end();
    bounds.count(bound);
    stop(new BoundExceededError(bound, bounds.limits[bound]));
  }
}
