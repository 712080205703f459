/** What a watcher of an etcd sees while something else happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EtcdKey, keyOf, type Revision } from '../../src/shared/etcd/types.ts';
import { connect } from '../ceiling.ts';
import type { Etcd } from '../etcd.ts';
import { ROOT_USER } from './mesh.ts';

/** Of everything that a daemon writes. */
const ALL = keyOf('cilium/');
const DATA = 'cilium/cache/';
const POLL_MS = 5;
const QUIET_MS = 2_000;

export class Observer implements AsyncDisposable {
  /** Events of mirrored keys so far. */
  dataEvents = 0;
  /** Events of other keys, by key. */
  readonly others = new Map<EtcdKey, number>();
  #lastMs = performance.now();
  readonly #stop = new AbortController();
  readonly #client;
  #watching: Promise<void> | undefined;
  /** Mirrored keys with an event of each kind. */
  readonly #keys = { put: new Set<EtcdKey>(), delete: new Set<EtcdKey>() };
  readonly #values = new Map<EtcdKey, string>();

  private constructor(etcd: Etcd) {
    this.#client = connect(etcd.config(ROOT_USER));
  }

  /** Sees what is written from now on. */
  static async start(etcd: Etcd): Promise<Observer> {
    const observer = new Observer(etcd);
    const from = (await revisionOf(etcd)) + 1;
    observer.#watching = observer.#watch(from as Revision).catch((thrown: unknown) => {
      if (!observer.#stop.signal.aborted) throw thrown;
    });
    return observer;
  }

  async #watch(from: Revision): Promise<void> {
    const { signal } = this.#stop;
    for await (const batch of this.#client.watch(ALL, { signal, from })) {
      if (batch.kind !== 'events') continue;
      this.#lastMs = performance.now();
      for (const event of batch.events) {
        if (!event.key.startsWith(DATA)) {
          this.others.set(event.key, (this.others.get(event.key) ?? 0) + 1);
          continue;
        }
        this.dataEvents += 1;
        this.#keys[event.type].add(event.key);
        // Few values are long-lived: those of the probes.
        if (event.type === 'put' && event.value.length < 32) this.#values.set(event.key, event.value.toString());
      }
    }
  }

  /** Resolves with the time of the last event, by `performance.now`, once so many keys were put, or deleted. */
  async untilKeys(count: number, signal: AbortSignal, kind: 'put' | 'delete' = 'put'): Promise<number> {
    while (this.#keys[kind].size < count) {
      signal.throwIfAborted();
      await sleep(POLL_MS);
    }
    return this.#lastMs;
  }

  /** Resolves with the time when the mirrored `key` got `value`, a short one. */
  async untilValue(key: string, value: string, signal: AbortSignal): Promise<number> {
    while (this.#values.get(keyOf(key)) !== value) {
      signal.throwIfAborted();
      await sleep(1);
    }
    return performance.now();
  }

  /** Resolves when nothing was written for two seconds. */
  async untilQuiet(): Promise<void> {
    const startMs = performance.now();
    while (performance.now() - Math.max(this.#lastMs, startMs) < QUIET_MS) await sleep(POLL_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the observer is stopped'));
    this.#client.close();
    await this.#watching;
  }
}

export async function revisionOf(etcd: Etcd): Promise<Revision> {
  const client = connect(etcd.config(ROOT_USER));
  const { signal } = new AbortController();
  try {
    for await (const page of client.list(ALL, { signal, pageSize: 1, keysOnly: true })) return page.revision;
    throw new Error('a list has no page');
  } finally {
    client.close();
  }
}
