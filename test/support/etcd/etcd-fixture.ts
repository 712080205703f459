/**
 * Clients on real etcd servers, with what the tests of this folder share.
 */
import { onTestFinished } from 'vitest';
import {
  type EtcdClient,
  type EtcdKey,
  keyOf,
  NO_LEASE,
  type Revision,
  type WatchBatch,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/shared/etcd/types.ts';
import { startTcpProxy, type TcpProxy } from '../network/tcp-proxy.ts';
import { until } from '../until.ts';
import { bytes, soon } from './etcd-client.ts';
import { type EtcdOptions, type EtcdProcess, startEtcd } from './etcd-process.ts';

/** A black hole is noticed in a second. Needs an etcd with `FAST_PINGS`, which else objects to so many pings. */
export const FAST_KEEPALIVE = { timeMs: 300, timeoutMs: 500 };
export const FAST_PINGS = ['--grpc-keepalive-min-time=50ms'];

/** An etcd that is stopped when the test has finished. */
export async function etcdForTest(options: EtcdOptions = {}): Promise<EtcdProcess> {
  const etcd = await startEtcd(options);
  onTestFinished(() => etcd.stop());
  return etcd;
}

export async function proxyForTest(port: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port);
  onTestFinished(() => proxy.stop());
  return proxy;
}

export async function put(client: EtcdClient, key: string, value = ''): Promise<Revision> {
  return client.txn([{ type: 'put', key: keyOf(key), value: bytes(value), lease: NO_LEASE }], soon());
}

export async function remove(client: EtcdClient, key: string): Promise<Revision> {
  return client.txn([{ type: 'delete', key: keyOf(key) }], soon());
}

/** Puts `prefix` + 00000 and so on, `perTxn` keys at a time; returns the keys. */
export async function putMany(
  client: EtcdClient,
  prefix: string,
  count: number,
  perTxn = 128,
  valueBytes = 100,
): Promise<EtcdKey[]> {
  const value = Buffer.alloc(valueBytes, 'v');
  const keys = Array.from({ length: count }, (_, index) => keyOf(prefix + String(index).padStart(5, '0')));
  for (let at = 0; at < count; at += perTxn) {
    const operations = keys.slice(at, at + perTxn).map((key) => ({ type: 'put', key, value, lease: NO_LEASE }) as const);
    await client.txn(operations, soon());
  }
  return keys;
}

/** A watch that runs in the background and remembers what it delivered. */
export interface RecordedWatch {
  readonly batches: WatchBatch[];
  readonly events: WatchEvent[];
  /** The batch that ended it, where one did. */
  readonly last: () => WatchBatch | undefined;
  readonly hasEnded: () => boolean;
  stop(): Promise<void>;
}

export function record(
  client: EtcdClient,
  prefix: string,
  from: number,
  options: Pick<WatchOptions, 'deletesOnly' | 'exact'> = {},
): RecordedWatch {
  const abort = new AbortController();
  const batches: WatchBatch[] = [];
  const events: WatchEvent[] = [];
  let hasEnded = false;
  const running = (async () => {
    for await (const batch of client.watch(keyOf(prefix), { signal: abort.signal, from: from as Revision, ...options })) {
      batches.push(batch);
      if (batch.kind === 'events') events.push(...batch.events);
    }
  })().finally(() => {
    hasEnded = true;
  });
  const stop = async () => {
    abort.abort();
    await running;
  };
  onTestFinished(stop);
  return { batches, events, last: () => batches.at(-1), hasEnded: () => hasEnded, stop };
}

/** Until `watch` has seen `count` events, and a moment more in which one too many would arrive. */
export async function seen(watch: RecordedWatch, count: number): Promise<readonly WatchEvent[]> {
  await until(`${count} events`, () => watch.events.length >= count, {
    withinMs: 45_000,
    status: () => ({ events: watch.events.length, last: watch.last()?.kind }),
  });
  return watch.events;
}
