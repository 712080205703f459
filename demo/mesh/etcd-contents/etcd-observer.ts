/**
 * What an etcd holds below `cilium/`, and every watch event since, with the time at which it arrived: the
 * view that an agent has, which reads nothing but its own cluster's etcd.
 */

import { createEtcdClient } from '../../../src/shared/etcd/client.ts';
import { type EtcdClient, type EtcdKey, keyOf, type Revision, type WatchEvent } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { NotInTimeError } from '../errors.ts';
import { PATIENCE_MS } from '../until.ts';

const EVERYTHING = keyOf('cilium/');

/** Agents use the keys below these; events elsewhere concern the daemons themselves. */
const DATA_PREFIXES = ['cilium/state/', 'cilium/cache/', 'cilium/cluster-config/'];

export interface ObservedEvent {
  readonly type: 'put' | 'delete';
  readonly key: EtcdKey;
  /** Monotonic milliseconds. */
  readonly atMs: number;
}

/** What is missing yet, undefined where nothing is. */
export type Condition = () => string | undefined;

interface Waiter {
  readonly condition: Condition;
  fulfil(atMs: number): void;
}

export class EtcdObserver {
  readonly #client: EtcdClient;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  readonly #values = new Map<EtcdKey, Buffer>();
  readonly #events: ObservedEvent[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<(event: ObservedEvent) => void>();
  #revision = 0 as Revision;
  #running: Promise<void> = Promise.resolve();

  private constructor(endpoint: string, signal: AbortSignal) {
    this.#signal = AbortSignal.any([signal, this.#ending.signal]);
    this.#client = createEtcdClient({
      config: { endpoints: [endpoint] },
      name: endpoint,
      log: silentLogger,
      clock: systemClock,
    });
  }

  /** Resolves when the etcd was listed; from then on everything is seen. */
  static async of(endpoint: string, signal: AbortSignal): Promise<EtcdObserver> {
    const observer = new EtcdObserver(endpoint, signal);
    for await (const { keyValues, revision } of observer.#client.list(EVERYTHING, { signal: observer.#signal })) {
      for (const { key, value } of keyValues) observer.#values.set(key, Buffer.from(value));
      observer.#revision = revision;
    }
    observer.#running = observer.#watch().catch(() => undefined);
    return observer;
  }

  /** Every key and its value, as far as events have arrived. */
  get values(): ReadonlyMap<EtcdKey, Buffer> {
    return this.#values;
  }

  /** Events so far: a place to count from. */
  get mark(): number {
    return this.#events.length;
  }

  /** Events that agents act upon, after `mark`. */
  dataEventsSince(mark: number): readonly ObservedEvent[] {
    return this.#events.slice(mark).filter(isDataEvent);
  }

  /** Calls `listener` for every event that agents act upon, until the signal of the observer is aborted. */
  onDataEvent(listener: (event: ObservedEvent) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * Resolves with the time at which nothing was missing for the first time, now or later. Throws
   * NotInTimeError with what is missing after PATIENCE_MS, and the signal's reason when it is aborted.
   */
  async when(condition: Condition): Promise<number> {
    this.#signal.throwIfAborted();
    if (condition() === undefined) return performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiter: Waiter = { condition, fulfil: resolve };
    const onAbort = () => reject(this.#signal.reason);
    const deadline = setTimeout(
      () => reject(new NotInTimeError(`not within ${PATIENCE_MS / 1000} s: ${condition()}`)),
      PATIENCE_MS,
    );
    this.#signal.addEventListener('abort', onAbort, { once: true });
    this.#waiters.add(waiter);
    return promise.finally(() => {
      clearTimeout(deadline);
      this.#signal.removeEventListener('abort', onAbort);
      this.#waiters.delete(waiter);
    });
  }

  /** Resolves when everything that is in etcd now has been seen. Throws like `when`. */
  async caughtUp(): Promise<void> {
    let stored = this.#revision;
    for await (const page of this.#client.list(EVERYTHING, { signal: this.#signal, pageSize: 1, keysOnly: true })) {
      stored = page.revision;
      break;
    }
    await this.when(() => (this.#revision >= stored ? undefined : `events up to revision ${stored}`));
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.#client.close();
    await this.#running;
  }

  async #watch(): Promise<void> {
    const from = (this.#revision + 1) as Revision;
    for await (const batch of this.#client.watch(EVERYTHING, { signal: this.#signal, from })) {
      if (batch.kind === 'compacted' || batch.kind === 'replaced') return;
      this.#revision = batch.revision;
      if (batch.kind === 'events') for (const event of batch.events) this.#take(event);
      const atMs = performance.now();
      for (const { condition, fulfil } of this.#waiters) if (condition() === undefined) fulfil(atMs);
    }
  }

  #take(event: WatchEvent): void {
    if (event.type === 'put') this.#values.set(event.key, Buffer.from(event.value));
    else this.#values.delete(event.key);
    const observed: ObservedEvent = { type: event.type, key: event.key, atMs: performance.now() };
    this.#events.push(observed);
    if (isDataEvent(observed)) for (const listener of this.#listeners) listener(observed);
  }
}

function isDataEvent({ key }: ObservedEvent): boolean {
  return DATA_PREFIXES.some((prefix) => key.startsWith(prefix));
}
