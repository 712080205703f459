/** What mirroring costs the two etcds, in requests, bytes and writes: none of it depends on the machine. */
import { expect, test } from 'vitest';
import { history } from '../support/etcd/etcd-client.ts';
import { enlarged } from '../support/kvstoremesh/cluster-keys.ts';
import type { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import type { Remote, Store } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import {
  countersOf,
  entries,
  entryBytes,
  filledRemote,
  KEYS,
  localStore,
  mirrored,
  putAll,
  report,
  since,
  startedDaemon,
} from './mirrored-cluster.ts';

const CACHE = 'cilium/cache/';
const MARKER = 'nodes/v1/north/marker';
/** One key of so many is changed. */
const CHANGED = 100;

async function started(): Promise<{ remote: Remote; local: Store; daemon: KvstoremeshProcess }> {
  const [remote, local] = [await filledRemote(), await localStore()];
  const daemon = await startedDaemon(local);
  daemon.add(remote);
  await mirrored(daemon, remote, local);
  return { remote, local, daemon };
}

/** A change after all others: what was read before it has been handled when it arrives. */
async function marked(remote: Remote, local: Store, value: string): Promise<void> {
  await remote.put({ [`cilium/state/${MARKER}`]: value });
  const text = async () => (await local.dump(`${CACHE}${MARKER}`))[`${CACHE}${MARKER}`];
  await until('the marker is mirrored', async () => (await text()) === value);
}

async function dataEvents(local: Store, from: number): Promise<string[]> {
  return (await history(local.client, from))
    .map(({ key }) => key as string)
    .filter((key) => key.startsWith(CACHE) && key !== `${CACHE}${MARKER}`);
}

test('a first fill costs one page for a thousand keys, full transactions, and the bytes of the keys once', async () => {
  const [remote, local] = [await filledRemote(), await localStore()];
  const daemon = await startedDaemon(local);
  const before = { remote: await countersOf(remote), local: await countersOf(local) };
  daemon.add(remote);
  await mirrored(daemon, remote, local);
  const [read, written] = [since(before.remote, await countersOf(remote)), since(before.local, await countersOf(local))];
  report(`${KEYS} keys of ${entryBytes} bytes: source ${JSON.stringify(read)}, local ${JSON.stringify(written)}`);
  // Pages, and a few requests for each kind of keys, for the configuration and for canaries.
  expect(read.calls.Range ?? 0).toBeLessThanOrEqual(KEYS / 1000 + 30);
  expect(read.bytesSent / entryBytes).toBeLessThan(1.25);
  // Transactions of 128, the last of each lane not full; leases of 1000 keys.
  expect(written.calls.Txn ?? 0).toBeLessThanOrEqual((KEYS / 128) * 1.5 + 30);
  expect(written.calls.LeaseGrant ?? 0).toBeLessThanOrEqual(KEYS / 1000 + 30);
  expect(written.bytesReceived / entryBytes).toBeLessThan(1.4);
});

test('a restart causes no event of a mirrored key, and reads every key once', async () => {
  const { remote, local, daemon } = await started();
  const from = await local.revision();
  await daemon.process.stop('SIGTERM');
  const before = { remote: await countersOf(remote), local: await countersOf(local) };
  await daemon.start();
  await daemon.process.ready();
  await daemon.until('the remote is mirrored again', remote.name, ({ ready }) => ready);
  await marked(remote, local, 'after the restart');
  const [read, compared] = [since(before.remote, await countersOf(remote)), since(before.local, await countersOf(local))];
  const events = await dataEvents(local, from);
  report(`restart with ${KEYS} keys: ${events.length} data events, local ${JSON.stringify(compared)}`);
  expect(events).toEqual([]);
  expect(compared.calls.Txn ?? 0).toBeLessThanOrEqual(20);
  expect(read.bytesSent / entryBytes).toBeLessThan(1.25);
});

test('keys that are written again with the same value, and keys that a compacted history leaves unknown, are not written', async () => {
  const { remote, local } = await started();
  const from = await local.revision();
  await putAll(remote, entries);
  await marked(remote, local, 'after the same values');
  expect(await dataEvents(local, from)).toEqual([]);

  await remote.proxy.disconnect();
  const changed = entries.filter((_, i) => i % CHANGED === 0).map((entry) => enlarged(entry, 1.1));
  await putAll(remote, changed);
  await remote.compact();
  await remote.proxy.heal();
  await marked(remote, local, 'after the compaction');
  const found = await until('the changed keys are mirrored', async () => {
    const events = await dataEvents(local, from);
    return events.length >= changed.length ? events : undefined;
  });
  report(`${KEYS} equal values: no write; ${changed.length} changed before a compaction: ${found.length} writes`);
  expect(new Set(found).size).toBe(found.length);
  expect(found).toHaveLength(changed.length);
});
