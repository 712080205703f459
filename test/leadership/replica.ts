/** A daemon of which only the leadership is real, and the queue it stands in. */

import { onTestFinished } from 'vitest';
import { KVSTOREMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import type { EtcdClient, EtcdKey, LeaseId } from '../../src/shared/etcd/types.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { runLeadership, type Term } from '../../src/shared/leadership/leadership.ts';
import type { LockPlace } from '../../src/shared/leadership/lock-place.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { openClient, soon } from '../support/etcd/etcd-client.ts';
import type { Store } from '../support/kvstoremesh/mesh-fixture.ts';
import { type LogLine, recordingLogger } from '../support/recording-logger.ts';
import { until } from '../support/until.ts';

/** The shortest that etcd grants is 2 s. */
export const SHORT_TTL_SECONDS = 3;
/** Events while the lease is alive cannot have waited for its end. */
export const LONG_TTL_SECONDS = 600;

interface ReplicaOptions {
  readonly ttlSeconds?: number;
  readonly standbyMs?: number;
  readonly endpoint?: string;
  readonly lead?: (term: Term) => Promise<void>;
  readonly place?: LockPlace | undefined;
}

/** A daemon of which only the leadership is real. */
export class Replica implements AsyncDisposable {
  terms = 0;
  isStandby = false;
  term: Term | undefined;
  readonly client: EtcdClient;
  readonly ended: Promise<void>;
  readonly lines: readonly LogLine[];
  readonly #registry = new Registry('test_');
  readonly #stop = new AbortController();

  constructor(store: Store, options: ReplicaOptions = {}) {
    const { ttlSeconds = LONG_TTL_SECONDS, standbyMs = 60_000, endpoint = store.process.endpoint, lead, place } = options;
    const { log, lines } = recordingLogger();
    this.lines = lines;
    const [clock, metrics] = [systemClock, this.#registry];
    this.client = openClient(endpoint);
    const onStandby = () => {
      this.isStandby = true;
    };
    const lock = { locks: KVSTOREMESH_LOCKS, ttlSeconds, client: this.client, place, clock, log };
    const timing = { standbyMs };
    this.ended = runLeadership(
      { ...lock, name: 'kvstoremesh', metrics, timing, onStandby, lead: lead ?? ((term) => this.#lead(term)) },
      this.#stop.signal,
    );
    this.ended.catch(() => undefined);
    onTestFinished(() => this.stop());
  }

  get isLeading(): boolean {
    return this.term !== undefined;
  }

  /** Resolves when this leader knows that another replica waits. */
  async isAwaited(): Promise<void> {
    const isTold = () => this.lines.some(({ msg }) => msg === 'other replicas wait for the leader lock');
    await until('the leader knows of another replica', isTold);
  }

  async leads(): Promise<Term> {
    return until('the replica leads', () => this.term, { withinMs: 45_000 });
  }

  /** The value of the metric. */
  async status(): Promise<number | undefined> {
    const text = await this.#registry.getSingleMetricAsString('test_leader_election_master_status');
    return Number(/\{name="kvstoremesh"\} (\d)/.exec(text)?.[1]);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped by the test'));
    await this.ended.catch(() => undefined);
    this.client.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #lead(term: Term): Promise<void> {
    this.terms += 1;
    this.term = term;
    await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
    this.term = undefined;
  }
}

export async function queue(store: Store): Promise<{ key: EtcdKey; lease: LeaseId; value: string }[]> {
  const keys = [];
  for await (const { keyValues } of store.client.list(KVSTOREMESH_LOCKS, soon()))
    for (const { key, lease, value } of keyValues) keys.push({ key, lease, value: value.toString() });
  return keys;
}

export async function queueOf(store: Store, size: number) {
  return until(`${size} replicas are in the queue`, async () => {
    const keys = await queue(store);
    return keys.length === size && keys;
  });
}
