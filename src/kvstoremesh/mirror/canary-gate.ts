/**
 * Waits for the canaries of a remote: a prefix is read only once its writer has said that it is complete.
 *
 * Without that a remote that starts from nothing would look like one that has deleted everything. A canary
 * counts once it was seen; that it goes later means nothing.
 */
import type { EtcdKey } from '../../shared/etcd/types.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { KeySink } from '../key-sink.ts';
import { BoundedSink } from './bounded-sink.ts';
import type { BoundExceededError, RemoteBounds } from './bounds.ts';
import { RefusedKeys } from './refused-keys.ts';

/** The receiver of the keys below a remote's canary prefix. */
export class CanaryGate implements KeySink {
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

  keep(): void {}

  remove(): void {}

  listed(): void {}

  interrupted(): void {}
}

/** `gate` within the bounds of its remote: nothing below `prefix` is kept, but reading without an end would cost as much. */
export function boundedCanaries(
  gate: CanaryGate,
  prefix: EtcdKey,
  bounds: RemoteBounds,
  log: Logger,
  stop: (reason: BoundExceededError) => void,
): BoundedSink {
  const share = bounds.canaries;
  const sink = new BoundedSink({
    bounds,
    share,
    prefixBytes: prefix.length,
    refused: new RefusedKeys({ log, onRefused: () => undefined }),
    next: {
      upsert: (canary, value) => {
        if (share.isListing) share.change(canary.length - prefix.length, undefined, value.length);
        gate.upsert(canary);
      },
      keep: () => gate.keep(),
      remove: () => gate.remove(),
      listed: () => {
        share.clear();
        gate.listed();
      },
      interrupted: () => gate.interrupted(),
    },
    growth: (canary, valueBytes) =>
      share.isListing ? { keys: 1, bytes: canary.length - prefix.length + valueBytes } : { keys: 0, bytes: 0 },
    stop,
  });
  sink.interrupted('a listing begins');
  return sink;
}
