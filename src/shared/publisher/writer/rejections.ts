/** Keys that cannot be taken: each is counted, and logged once. */
import { type EtcdKey, keyText } from '../../etcd/types.ts';
import { MAX_KEY_BYTES, MAX_VALUE_BYTES } from '../../limits.ts';
import type { Logger } from '../../process/log.ts';
import type { PublisherObserver, RejectReason } from '../types.ts';

/** Keys whose rejection was logged; beyond that they are only counted. */
const MAX_REMEMBERED = 1000;

interface RejectionsOptions {
  readonly scope: string;
  readonly cluster: string;
  readonly prefix: EtcdKey | undefined;
  readonly log: Logger;
  readonly observer: PublisherObserver;
}

export class Rejections {
  readonly #scope: string;
  readonly #cluster: string;
  readonly #log: Logger;
  readonly #observer: PublisherObserver;
  readonly #prefix: EtcdKey | undefined;
  readonly #logged = new Set<EtcdKey>();

  constructor(options: RejectionsOptions) {
    this.#prefix = options.prefix;
    this.#scope = options.scope;
    this.#cluster = options.cluster;
    this.#log = options.log;
    this.#observer = options.observer;
  }

  /** Why `key` cannot have `value`; undefined where it can. */
  reasonFor(key: EtcdKey, value: Uint8Array): RejectReason | undefined {
    if (!this.isWithinPrefix(key)) return 'outside_prefix';
    if (key.length === 0 || key.length > MAX_KEY_BYTES) return 'key_too_large';
    return value.length > MAX_VALUE_BYTES ? 'value_too_large' : undefined;
  }

  isWithinPrefix(key: EtcdKey): boolean {
    return this.#prefix === undefined || (key.startsWith(this.#prefix) && key.length > this.#prefix.length);
  }

  reject(key: EtcdKey, valueBytes: number, reason: RejectReason): void {
    this.#observer.rejected(reason, this.#scope, this.#cluster);
    if (this.#logged.has(key) || this.#logged.size >= MAX_REMEMBERED) return;
    this.#logged.add(key);
    const fields = { scope: this.#scope, cluster: this.#cluster, key: keyText(key), valueBytes, reason };
    this.#log.warn(fields, 'key rejected; other keys are not affected');
  }
}
