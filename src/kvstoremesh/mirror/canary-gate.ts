/**
 * Waits for the canaries of a remote: a prefix is read only after its writer has announced that it is complete.
 *
 * Otherwise a remote that starts from an empty store would look like one that deleted everything. A canary counts once it
 * was seen; its later removal means nothing.
 */

import type { EtcdKey } from '../../shared/etcd/types.ts';
import { unlessAborted } from '../../shared/time/abort.ts';
import type { Stage } from '../stage.ts';
import type { Quota, QuotaPart } from './quota.ts';

export class CanaryGate {
  readonly #waiting: ReadonlyMap<EtcdKey, PromiseWithResolvers<void>>;

  /** `canaries`: those to wait for. Others are ignored: a remote may have any number of keys there. */
  constructor(canaries: Iterable<EtcdKey>) {
    this.#waiting = new Map([...canaries].map((canary) => [canary, Promise.withResolvers<void>()]));
  }

  /** Resolves when `canary` was seen; rejects when `signal` is aborted first. */
  async open(canary: EtcdKey, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await unlessAborted(this.#waiting.get(canary)?.promise ?? new Promise<never>(() => undefined), signal);
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

/** Opens the gate. A listing of canaries has a quota; the rate of changes bounds what comes after it. */
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
