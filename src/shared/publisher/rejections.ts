/** Keys that cannot be taken: each is counted, and logged once. */
import { type EtcdKey, keyText } from '../etcd/types.ts';
import type { Logger } from '../log.ts';
import type { PublisherObserver, RejectReason } from './types.ts';

/** Keys whose rejection was logged; beyond that they are only counted. */
const MAX_REMEMBERED = 1000;

export class Rejections {
  readonly #scope: string;
  readonly #cluster: string;
  readonly #log: Logger;
  readonly #observer: PublisherObserver;
  readonly #logged = new Set<EtcdKey>();

  constructor(options: { scope: string; cluster: string; log: Logger; observer: PublisherObserver }) {
    this.#scope = options.scope;
    this.#cluster = options.cluster;
    this.#log = options.log;
    this.#observer = options.observer;
  }

  reject(key: EtcdKey, valueBytes: number, reason: RejectReason): void {
    this.#observer.rejected(reason, this.#scope, this.#cluster);
    if (this.#logged.has(key) || this.#logged.size >= MAX_REMEMBERED) return;
    this.#logged.add(key);
    const fields = { scope: this.#scope, cluster: this.#cluster, key: keyText(key), valueBytes, reason };
    this.#log.warn(fields, 'key refused; all others go on');
  }
}
