/**
 * Waits for the canaries of a remote: a prefix is read only once its writer has said that it is complete.
 *
 * Without that a remote that starts from nothing would look like one that has deleted everything. A canary
 * counts once it was seen; that it goes later means nothing.
 */
import type { EtcdKey } from '../shared/etcd/types.ts';
import type { Sink } from '../shared/publisher/types.ts';

/** The receiver of the keys below a remote's canary prefix. */
export class CanaryGate implements Sink {
  readonly #waiting: ReadonlyMap<EtcdKey, PromiseWithResolvers<void>>;

  /** `canaries`: those that will be asked for; others are not kept, a remote may hold any number of keys there. */
  constructor(canaries: Iterable<EtcdKey>) {
    this.#waiting = new Map([...canaries].map((canary) => [canary, Promise.withResolvers<void>()]));
  }

  /** Resolves when `canary` was seen; rejects when `signal` is aborted first. */
  async open(canary: EtcdKey, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const seen = this.#waiting.get(canary)?.promise;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    await Promise.race([seen ?? aborted.promise, aborted.promise]).finally(() => signal.removeEventListener('abort', onAbort));
  }

  upsert(canary: EtcdKey): void {
    this.#waiting.get(canary)?.resolve();
  }

  remove(): void {}

  listed(): void {}

  interrupted(): void {}
}
