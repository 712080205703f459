/**
 * Waits for the canaries of a remote: a prefix is read only once its writer has said that it is complete.
 *
 * Without that a remote that starts from nothing would look like one that has deleted everything. A canary
 * counts once it was seen; that it goes later means nothing.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Stage } from '../stage.ts';
import type { Quota, QuotaPart } from './quota.ts';

export class CanaryGate {
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

  seen(canary: EtcdKey): void {
    this.#waiting.get(canary)?.resolve();
  }
}

export interface CanaryStageOptions {
  readonly gate: CanaryGate;
  /** Of the prefix of the canaries, which counts nothing. */
  readonly prefixBytes: number;
  readonly quota: Quota;
  readonly part: QuotaPart;
}

/** Opens the gate, as long as a listing of canaries keeps its quota. Later canaries are bounded by the rate of changes. */
export class CanaryStage implements Stage {
  readonly #options: CanaryStageOptions;
  #isListing = true;

  constructor(options: CanaryStageOptions) {
    this.#options = options;
  }

  upsert(canary: EtcdKey, value: Uint8Array): void {
    const { gate, prefixBytes, quota, part } = this.#options;
    const usage = { keys: 1, bytes: canary.length - prefixBytes + value.length };
    if (this.#isListing && !quota.admits(part, usage)) return;
    if (this.#isListing) part.add(usage);
    gate.seen(canary);
  }

  /** That a canary goes later means nothing. */
  remove(): void {}

  keep(): void {}

  listed(): void {
    this.#isListing = false;
    this.#options.part.clear();
  }

  interrupted(): void {
    this.#isListing = true;
  }
}
