/**
 * First stage: keys of a remote pass within its bounds.
 *
 * A listing that announces too many keys and a remote that changes too fast end the session. A single key or value that
 * is too large is refused, and all others pass. Sizes are those that the remote sends.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Stage } from '../stage.ts';
import type { Quota, QuotaPart } from './quota.ts';
import type { RefusedKeys } from './refused-keys.ts';

export interface AdmitOptions {
  readonly quota: Quota;
  readonly part: QuotaPart;
  readonly refused: RefusedKeys;
  readonly next: Stage;
}

export class AdmitStage implements Stage {
  readonly #options: AdmitOptions;
  #isListing = true;

  constructor(options: AdmitOptions) {
    this.#options = options;
  }

  /** The listing under way has `keys` keys, as the remote says before it names them. */
  announced(keys: number): void {
    const { quota, part } = this.#options;
    if (!quota.isExceeded && this.#isListing) quota.announce(part, keys);
  }

  /** The remote sent a notification that names no key. */
  notified(): void {
    const { quota } = this.#options;
    if (!quota.isExceeded) quota.takeChange();
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    const { quota, refused, next } = this.#options;
    if (quota.isExceeded || !(this.#isListing || quota.takeChange())) return;
    refused.forget(key);
    const { bounds } = quota;
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
    const { quota, refused, next } = this.#options;
    if (quota.isExceeded || !quota.takeChange()) return;
    refused.forget(key);
    next.remove(key);
  }

  keep(key: EtcdKey): void {
    const { quota, next } = this.#options;
    if (!quota.isExceeded) next.keep(key);
  }

  listed(): void {
    const { quota, part, next } = this.#options;
    if (quota.isExceeded) return;
    this.#isListing = false;
    part.announced = 0;
    next.listed();
  }

  interrupted(reason: string): void {
    const { quota, part, refused, next } = this.#options;
    if (quota.isExceeded) return;
    this.#isListing = true;
    part.clear();
    refused.restart();
    next.interrupted(reason);
  }
}
