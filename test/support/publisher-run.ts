/**
 * A publisher on a real etcd, with what a test needs to look at it from outside.
 */

import { createEtcdClient } from '../../src/shared/etcd/client.ts';
import {
  type EtcdClient,
  type EtcdKey,
  type KeyValue,
  keyOf,
  type Revision,
  type WatchEvent,
} from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { createPublisher } from '../../src/shared/publisher/publisher.ts';
import type {
  Publisher,
  PublisherObserver,
  RejectReason,
  RepairReason,
  Section,
  SectionOptions,
} from '../../src/shared/publisher/types.ts';
import { type Clock, systemClock } from '../../src/shared/time/clock.ts';
import { until } from './until.ts';

const ROOT = keyOf('cilium/');
export const PREFIX = keyOf('cilium/cache/nodes/v1/west/');
export const CANARY = keyOf('cilium/synced/west/cilium/cache/nodes/v1');

export interface Recorded extends PublisherObserver {
  readonly repairs: Map<RepairReason, number>;
  readonly rejections: RejectReason[];
  transactions: number;
  operations: number;
}

function recorder(): Recorded {
  const repairs = new Map<RepairReason, number>();
  const rejections: RejectReason[] = [];
  const recorded: Recorded = {
    repairs,
    rejections,
    transactions: 0,
    operations: 0,
    transaction: (operations) => {
      recorded.transactions += 1;
      recorded.operations += operations;
    },
    syncError: () => undefined,
    repair: (reason, keys) => repairs.set(reason, (repairs.get(reason) ?? 0) + keys),
    rejected: (reason) => rejections.push(reason),
    synced: () => undefined,
  };
  return recorded;
}

export function connect(endpoint: string): EtcdClient {
  return createEtcdClient({
    config: { endpoints: [endpoint] },
    name: 'test',
    log: silentLogger,
    clock: systemClock,
  });
}

export interface RigOptions {
  readonly endpoint: string;
  readonly leaseTtlSeconds?: number;
  readonly keysPerLease?: number;
  readonly maxTxnOperations?: number;
  readonly auditIntervalMs?: number;
  /** Of the publisher; its client has the system's. */
  readonly clock?: Clock;
}

/** A running publisher with its own client. `stop` ends both and leaves everything in etcd, as a killed process would. */
export interface Rig {
  readonly client: EtcdClient;
  readonly publisher: Publisher;
  readonly recorded: Recorded;
  readonly signal: AbortSignal;
  section(options?: Partial<SectionOptions>): Section;
  stop(): Promise<void>;
}

export function startRig(options: RigOptions): Rig {
  const client = connect(options.endpoint);
  const abort = new AbortController();
  const recorded = recorder();
  const { endpoint: _, leaseTtlSeconds = 900, ...rest } = options;
  const publisher = createPublisher({
    client,
    root: ROOT,
    leaseTtlSeconds,
    clock: systemClock,
    log: silentLogger,
    observer: recorded,
    ...rest,
  });
  const running = publisher.run(abort.signal);
  return {
    client,
    publisher,
    recorded,
    signal: abort.signal,
    section: (overrides = {}) =>
      publisher.section({
        scope: 'nodes/v1',
        cluster: 'west',
        prefix: PREFIX,
        rank: 0,
        owns: 'prefix',
        canary: CANARY,
        ...overrides,
      }),
    stop: async () => {
      abort.abort(new Error('stopped by the test'));
      await running;
      client.close();
    },
  };
}

export const below = (name: string): EtcdKey => keyOf(PREFIX + name);
export const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8');

/** Everything below `prefix`, by key. */
export async function contents(client: EtcdClient, prefix: EtcdKey = PREFIX): Promise<Map<string, KeyValue>> {
  const found = new Map<string, KeyValue>();
  for await (const page of client.list(prefix, { signal: AbortSignal.timeout(60_000) })) {
    for (const keyValue of page.keyValues) found.set(keyValue.key, { ...keyValue, value: Buffer.from(keyValue.value) });
  }
  return found;
}

/** Key names below PREFIX and their values as text. */
export async function texts(client: EtcdClient): Promise<Record<string, string>> {
  const found = await contents(client);
  return Object.fromEntries([...found].map(([key, { value }]) => [key.slice(PREFIX.length), value.toString('utf8')]));
}

export async function settledAs(client: EtcdClient, expected: Record<string, string>): Promise<void> {
  const wanted = JSON.stringify(Object.entries(expected).sort());
  await until(`etcd holds ${wanted}`, async () => JSON.stringify(Object.entries(await texts(client)).sort()) === wanted, {
    withinMs: 45_000,
  });
}

export async function revisionNow(client: EtcdClient): Promise<Revision> {
  for await (const page of client.list(keyOf('none/'), { signal: AbortSignal.timeout(60_000) })) return page.revision;
  throw new Error('no page');
}

/** Every event below ROOT after `since`, read back from the store's own history. */
export async function history(client: EtcdClient, since: Revision): Promise<WatchEvent[]> {
  const sentinel = keyOf('cilium/~end-of-history');
  // Its own revision, and not that of the store: others may go on writing.
  const last = await client.txn([{ type: 'put', key: sentinel, value: bytes(String(Math.random())), lease: 0n as never }], {
    signal: AbortSignal.timeout(60_000),
  });
  const events: WatchEvent[] = [];
  const abort = new AbortController();
  for await (const batch of client.watch(ROOT, { signal: abort.signal, from: (since + 1) as Revision })) {
    if (batch.kind === 'compacted' || batch.kind === 'replaced') throw new Error(`the history is gone: ${batch.kind}`);
    if (batch.kind !== 'events') continue;
    for (const event of batch.events) if (event.key !== sentinel) events.push(event);
    if (batch.events.some((event) => event.key === sentinel && event.modRevision >= last)) break;
  }
  abort.abort();
  return events;
}
