/** Changes of a remote cluster at a steady rate, whose values say when they were written. */
import { setTimeout as pause } from 'node:timers/promises';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { soon } from '../support/etcd/etcd-client.ts';
import type { Store } from '../support/kvstoremesh/mesh-fixture.ts';
import type { Read } from './agent-reader.ts';

const KEYS = 1_000;
const PER_TRANSACTION = 100;
/** Of the keys of a transaction, those that are deleted, and put again with the next round. */
const DELETED = 5;
const INTERVAL_MS = 50;

const nameOf = (index: number) => keyOf(`cilium/state/ip/v1/default/10.9.${index >> 8}.${index & 255}`);

export class SteadyLoad {
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #changes = 0;
  #startMs = Date.now();
  #endMs = 0;

  private constructor(remote: Store) {
    this.#ended = this.#run(remote);
  }

  /** 2,000 changes a second, or what the machine can, of 1,000 addresses. */
  static start(remote: Store): SteadyLoad {
    return new SteadyLoad(remote);
  }

  /** A second, as it was. */
  get rate(): number {
    return Math.round((1_000 * this.#changes) / ((this.#endMs === 0 ? Date.now() : this.#endMs) - this.#startMs));
  }

  /** Resolves when the last change is written; rejects where one failed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    this.#endMs = Date.now();
  }

  async #run(remote: Store): Promise<void> {
    const { signal } = this.#stop;
    for (let at = 0; !signal.aborted; at += PER_TRANSACTION) {
      const value = Buffer.from(`${Date.now()} ${at}`);
      const operations = Array.from({ length: PER_TRANSACTION }, (_, index) => {
        const key = nameOf((at + index) % KEYS);
        const isDeleted = index < DELETED && (at / KEYS) % 2 >= 1;
        return isDeleted ? ({ type: 'delete', key } as const) : ({ type: 'put', key, value, lease: NO_LEASE } as const);
      });
      await remote.client.txn(operations, soon());
      this.#changes += operations.length;
      const dueMs = this.#startMs + INTERVAL_MS * (at / PER_TRANSACTION + 1);
      await pause(Math.max(0, dueMs - Date.now()), undefined, { signal }).catch(() => undefined);
    }
  }
}

/**
 * How old the newest value that had arrived was at most, between `sinceMs` and the last of `events`, in milliseconds. At a source
 * that changes all the time this is how far behind a reader was.
 */
export function longestLag(events: readonly Read[], sinceMs: number): number {
  let newestMs = Number.POSITIVE_INFINITY;
  let longest = 0;
  for (const { type, value, atMs } of events) {
    if (type === 'delete') continue;
    if (atMs >= sinceMs) longest = Math.max(longest, atMs - newestMs);
    const writtenMs = Number.parseInt(value, 10);
    newestMs = newestMs === Number.POSITIVE_INFINITY ? writtenMs : Math.max(newestMs, writtenMs);
  }
  return longest;
}
