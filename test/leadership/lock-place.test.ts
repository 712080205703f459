/** Who leads after a process that was killed: which keys of the leader lock its successor removes, and which it never does. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { KVSTOREMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import { type EtcdKey, keyOf, type LeaseId } from '../../src/shared/etcd/types.ts';
import { findLockPlace, type LeaseClaim, type LockPlace } from '../../src/shared/leadership/lock-place.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { bytes, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { type Store, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { LONG_TTL_SECONDS, queue, queueOf, Replica } from './replica.ts';

async function placeOf(description?: string): Promise<LockPlace> {
  const place = await findLockPlace(
    KVSTOREMESH_LOCKS,
    silentLogger,
    description === undefined ? undefined : async () => description,
  );
  if (place === undefined) throw new Error('no abstract sockets on this system');
  return place;
}

async function claimOf(place: LockPlace): Promise<LeaseClaim> {
  const claim = await place.claim();
  onTestFinished(() => claim.release());
  return claim;
}

/** A key on a lease of its own that is not kept alive, as left by a process that was killed. */
async function leave(store: Store, id?: LeaseId, name = (lease: LeaseId) => lease.toString(16)): Promise<EtcdKey> {
  const lease = await store.client.grantLease(LONG_TTL_SECONDS, { ...soon(), ...(id !== undefined && { id }) });
  const key = keyOf(`${KVSTOREMESH_LOCKS}${name(lease)}`);
  await store.client.putIfAbsent(key, bytes(''), lease, soon());
  return key;
}

/** A key as a process of `place` leaves it that has ended. */
async function leaveOf(place: LockPlace, store: Store, name?: (lease: LeaseId) => string): Promise<EtcdKey> {
  const claim = await claimOf(place);
  claim.release();
  return leave(store, claim.id, name);
}

const keys = async (store: Store) => (await queue(store)).map(({ key }) => key);

describe.skipIf(etcdVersions().length === 0)('a replica that starts where an earlier one was killed', () => {
  test('leads at once; its key is like any other and is gone when it stops', async () => {
    await using store = await startLocal();
    const place = await placeOf();
    const before = [await leaveOf(place, store), await leaveOf(place, store)];
    const replica = new Replica(store, { place });
    await replica.leads();
    const [own, ...others] = await queue(store);
    expect(others).toEqual([]);
    expect(before).not.toContain(own?.key);
    expect(own).toEqual({ key: `cilium/kvstoremesh-lock/${own?.lease.toString(16)}`, lease: expect.any(BigInt), value: '' });
    await replica.stop();
    expect(await queue(store)).toEqual([]);
  });

  test.for<[string, (store: Store, place: LockPlace) => Promise<EtcdKey>]>([
    ['the original, whose lease has an ID of etcd', (store) => leave(store)],
    ['a process that runs on', async (store, place) => leave(store, (await claimOf(place)).id)],
    ['a process of another place', async (store) => leaveOf(await placeOf('another one'), store)],
    ['a key that is not named by its lease', async (store, place) => leaveOf(place, store, (lease) => `${lease.toString(16)}0`)],
  ])('waits for %s', async ([, put]) => {
    await using store = await startLocal();
    const place = await placeOf();
    const before = await put(store, place);
    const replica = new Replica(store, { standbyMs: 1, place });
    await queueOf(store, 2);
    await until('it is a standby', () => replica.isStandby);
    expect(await keys(store)).toContain(before);
    expect(replica.isLeading).toBe(false);
    await store.delete(before);
    await replica.leads();
  });

  test('displaces what was there when it began, and never what ends later', async () => {
    await using store = await startLocal();
    const place = await placeOf();
    const claim = await claimOf(place);
    const before = await leave(store, claim.id);
    const replica = new Replica(store, { place, standbyMs: 1 });
    await queueOf(store, 2);
    claim.release();
    await until('it is a standby', () => replica.isStandby);
    expect(await keys(store)).toContain(before);
  });

  test('displaces neither a leader of its place nor a standby, and is displaced by neither', async () => {
    await using store = await startLocal();
    const place = await placeOf();
    const replicas = [new Replica(store, { place })];
    await replicas[0]?.leads();
    for (const size of [2, 3]) {
      replicas.push(new Replica(store, { place: await placeOf(), standbyMs: 1 }));
      await queueOf(store, size);
    }
    await until('two are standbys', () => replicas.slice(1).every(({ isStandby }) => isStandby));
    expect(replicas.map(({ isLeading, terms }) => [isLeading, terms])).toEqual([
      [true, 1],
      [false, 0],
      [false, 0],
    ]);
  });

  test('tries until its etcd answers', async () => {
    await using store = await startLocal();
    const place = await placeOf();
    await leaveOf(place, store);
    const proxy = await startTcpProxy(store.process.port);
    onTestFinished(() => proxy.stop());
    await proxy.refuse();
    const replica = new Replica(store, { place, endpoint: proxy.endpoint });
    await until('it has tried', () => replica.client.state.lastError !== undefined);
    await proxy.heal();
    await replica.leads();
  });

  test('leads another term with a lease that identifies its place as well', async () => {
    await using store = await startLocal();
    const place = await placeOf();
    const replica = new Replica(store, { place });
    await replica.leads();
    const [first] = await queue(store);
    await store.delete(first?.key ?? '');
    await until('it leads another term', () => replica.terms === 2 && replica.isLeading);
    const [second] = await queueOf(store, 1);
    expect(second?.key).not.toBe(first?.key);
    expect((second?.lease ?? 0n) >> 20n).toBe((first?.lease ?? 0n) >> 20n);
    expect(await place.hasEnded(second?.lease as LeaseId)).toBe(false);
    await until('the first lease is given up', () => place.hasEnded(first?.lease as LeaseId));
  });
});

test('if the place is unknown there is none, and nothing fails because of it', async () => {
  expect(await findLockPlace(KVSTOREMESH_LOCKS, silentLogger, () => Promise.reject(new Error('no /proc')))).toBeUndefined();
});

test('IDs of leases are positive, of 63 bits, and never the same twice at once', async () => {
  const place = await placeOf();
  const ids = new Set<bigint>();
  for (let i = 0; i < 100; i += 1) ids.add((await claimOf(place)).id);
  expect(ids.size).toBe(100);
  for (const id of ids) expect(id > 0n && id < 2n ** 63n).toBe(true);
});
