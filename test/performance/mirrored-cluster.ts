/** A remote cluster with realistic keys, a daemon that mirrors it, and what the two etcds say that it cost them. */
import { onTestFinished } from 'vitest';
import { NO_LEASE, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { soon } from '../support/etcd/etcd-client.ts';
import { cluster, type Entry } from '../support/kvstoremesh/cluster-keys.ts';
import { KvstoremeshProcess, MEMORY_PROBE } from '../support/kvstoremesh/kvstoremesh-process.ts';
import { type Remote, type Store, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';

export const KEYS = 20_000;
const [NAME, ID] = ['north', 7];
const KEYS_PER_TRANSACTION = 128;

/** The keys of the remote, deterministic. */
export const entries: readonly Entry[] = [...cluster(NAME, ID, KEYS)];
/** Of keys and values, as the remote has them. */
export const entryBytes = bytesOf(entries);

export function bytesOf(all: readonly Entry[]): number {
  return all.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
}

export async function putAll(store: Store, all: readonly Entry[]): Promise<void> {
  await inTransactions(
    store,
    all.map(({ key, value }) => ({ type: 'put', key, value, lease: NO_LEASE })),
  );
}

export async function deleteAll(store: Store, all: readonly Entry[]): Promise<void> {
  await inTransactions(
    store,
    all.map(({ key }) => ({ type: 'delete', key })),
  );
}

async function inTransactions(store: Store, operations: readonly TxnOperation[]): Promise<void> {
  for (let at = 0; at < operations.length; at += KEYS_PER_TRANSACTION)
    await store.client.txn(operations.slice(at, at + KEYS_PER_TRANSACTION), soon());
}

/** The remote, complete; stopped when the test has finished. */
export async function filledRemote(): Promise<Remote> {
  const remote = await startRemote(NAME);
  onTestFinished(() => remote[Symbol.asyncDispose]());
  await remote.configure(ID);
  await putAll(remote, entries);
  await remote.announce();
  return remote;
}

export async function localStore(): Promise<Store> {
  const local = await startLocal();
  onTestFinished(() => local[Symbol.asyncDispose]());
  return local;
}

/** A daemon without remotes that is ready. */
export async function startedDaemon(local: Store): Promise<KvstoremeshProcess> {
  const daemon = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint, preload: [MEMORY_PROBE] });
  onTestFinished(() => daemon[Symbol.asyncDispose]());
  await daemon.start();
  await daemon.process.ready();
  return daemon;
}

/** Resolves when `daemon` has mirrored all keys of `remote`, whose number is `keys`. */
export async function mirrored(daemon: KvstoremeshProcess, remote: Remote, local: Store, keys = KEYS): Promise<void> {
  await daemon.until('the remote is mirrored', remote.name, ({ ready }) => ready);
  await until(`${keys} keys are in the local etcd`, async () => Object.keys(await local.dump('cilium/cache/')).length === keys);
}

/** What an etcd counted since it started. */
export interface EtcdCounters {
  /** Calls by method: `Range`, `Txn`, … */
  readonly calls: Readonly<Record<string, number>>;
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export async function countersOf({ process }: Store): Promise<EtcdCounters> {
  const text = await (await fetch(`${process.metricsEndpoint}/metrics`)).text();
  const numberIn = (line: string) => Number(line.slice(line.lastIndexOf(' ') + 1));
  const sum = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((total, line) => total + numberIn(line), 0);
  const calls: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const method = /^grpc_server_started_total\{.*grpc_method="(\w+)"/.exec(line)?.[1];
    if (method !== undefined) calls[method] = (calls[method] ?? 0) + numberIn(line);
  }
  return {
    calls,
    bytesSent: sum('etcd_network_client_grpc_sent_bytes_total'),
    bytesReceived: sum('etcd_network_client_grpc_received_bytes_total'),
  };
}

/** Of one step. */
export function since(before: EtcdCounters, after: EtcdCounters): EtcdCounters {
  const calls = Object.entries(after.calls).map(([method, count]) => [method, count - (before.calls[method] ?? 0)] as const);
  return {
    calls: Object.fromEntries(calls.filter(([, count]) => count > 0)),
    bytesSent: after.bytesSent - before.bytesSent,
    bytesReceived: after.bytesReceived - before.bytesReceived,
  };
}

/** A line of the report: figures without a bound in time, which CI shows. */
export function report(line: string): void {
  process.stdout.write(`performance: ${line}\n`);
}
