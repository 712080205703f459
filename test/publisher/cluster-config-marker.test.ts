/** The key that agents of Cilium 1.15 read before anything else: who writes it, and who leaves it unchanged. */

import { test as anyTest, expect, onTestFinished } from 'vitest';
import { type EtcdClient, type KeyValue, keyOf, type LeaseId, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { holdClusterConfigMarker } from '../../src/shared/publisher/cluster-config-marker.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { bytes, connect, soon } from '../support/etcd/etcd-client.ts';
import { etcdForTest } from '../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import { startRig } from './publisher-fixture.ts';

const test = anyTest.skipIf(etcdVersions().length === 0);
const KEY = keyOf('cilium/.has-cluster-config');

async function etcdOfTest(): Promise<{ etcd: EtcdProcess; client: EtcdClient }> {
  const etcd = await etcdForTest();
  return { etcd, client: connect(etcd.endpoint) };
}

/** What a daemon has of it: a publisher, and the loop. */
function hold(endpoint: string): void {
  const rig = startRig({ endpoint });
  const stop = new AbortController();
  const { client, publisher } = rig;
  const held = holdClusterConfigMarker(
    { singles: publisher.singles, client, clock: systemClock, log: silentLogger },
    stop.signal,
  ).catch(() => undefined);
  onTestFinished(async () => {
    stop.abort(new Error('stopped by the test'));
    await held;
    await rig.stop();
  });
}

async function put(client: EtcdClient, value: string, lease: LeaseId = NO_LEASE): Promise<void> {
  await client.txn([{ type: 'put', key: KEY, value: bytes(value), lease }], soon());
}

async function written(client: EtcdClient): Promise<KeyValue> {
  return until('a daemon has written the key', async () => {
    const found = await client.get(KEY, soon());
    return found !== undefined && found.lease !== NO_LEASE && found.value.toString() === 'true' && found;
  });
}

test('it is written if it is missing, on a lease, and again when it is deleted', async () => {
  const { etcd, client } = await etcdOfTest();
  hold(etcd.endpoint);
  const first = await written(client);
  await client.txn([{ type: 'delete', key: KEY }], soon());
  expect((await written(client)).modRevision).toBeGreaterThan(first.modRevision);
});

test('one without a lease, as written by etcdinit, is unchanged until it is deleted', async () => {
  const { etcd, client } = await etcdOfTest();
  await put(client, 'true');
  const before = await client.get(KEY, soon());
  hold(etcd.endpoint);
  hold(etcd.endpoint);
  const other = keyOf('cilium/cluster-config/west');
  const rig = startRig({ endpoint: etcd.endpoint });
  onTestFinished(() => rig.stop());
  await rig.publisher.singles.put(other, bytes('{}'), soon().signal);
  expect((await client.get(KEY, soon()))?.modRevision).toBe(before?.modRevision);
  await client.txn([{ type: 'delete', key: KEY }], soon());
  await written(client);
});

test('one on a lease that ends is kept', async () => {
  const { etcd, client } = await etcdOfTest();
  const lease = await client.grantLease(600, soon());
  await put(client, 'true', lease);
  hold(etcd.endpoint);
  await until('it hangs on another lease', async () => (await written(client)).lease !== lease);
  await client.revokeLease(lease, soon());
  expect((await client.get(KEY, soon()))?.value.toString()).toBe('true');
});

test('it is restored in an etcd that comes back empty, with or without a lease before', async () => {
  const { etcd, client } = await etcdOfTest();
  await put(client, 'true');
  hold(etcd.endpoint);
  for (let i = 0; i < 2; i += 1) {
    await etcd.restart({ wipe: true, clusterToken: `again-${i}` });
    client.forgetCluster();
    await written(client);
  }
});
