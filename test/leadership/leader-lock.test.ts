import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test as anyTest, expect, onTestFinished } from 'vitest';
import { ConditionFailedError } from '../../src/shared/etcd/errors.ts';
import { KVSTOREMESH_LOCKS } from '../../src/shared/etcd/keyspace.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { FencedClient } from '../../src/shared/leadership/fenced-client.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { bytes, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ETCDCTL, etcdctlMissing } from '../support/etcd/etcdctl.ts';
import { startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import { until, within } from '../support/until.ts';
import { LONG_TTL_SECONDS, queue, queueOf, Replica, SHORT_TTL_SECONDS } from './replica.ts';

const test = anyTest.skipIf(etcdVersions().length === 0);

test('a replica alone leads at once; its key is empty, named by its lease and on it, and gone when it stops', async () => {
  await using store = await startLocal();
  const replica = new Replica(store);
  await replica.leads();
  const [own] = await queue(store);
  expect(own).toEqual({ key: `cilium/kvstoremesh-lock/${own?.lease.toString(16)}`, lease: expect.any(BigInt), value: '' });
  const lease = own?.lease ?? NO_LEASE;
  expect((await store.client.leaseTimeToLive(lease, soon()))?.grantedTtl).toBe(LONG_TTL_SECONDS);
  expect(await replica.status()).toBe(1);
  await replica.stop();
  expect(await queue(store)).toEqual([]);
  expect(await store.client.leaseTimeToLive(lease, soon())).toBeUndefined();
  expect(await replica.status()).toBe(0);
});

test('a second replica waits with a key of its own, and leads as soon as the first one stops', async () => {
  await using store = await startLocal();
  const first = new Replica(store, { standbyMs: 1 });
  await first.leads();
  const second = new Replica(store, { standbyMs: 50 });
  await queueOf(store, 2);
  await until('it is a standby', () => second.isStandby);
  expect(second.isLeading).toBe(false);
  expect(await second.status()).toBe(0);
  await first.stop();
  await second.leads();
  expect((await queue(store)).length).toBe(1);
});

test('the queue is in the order of creation, independent of key names and writers', async () => {
  await using store = await startLocal();
  await store.put({ [`${KVSTOREMESH_LOCKS}7000000000000001`]: '' });
  await store.put({ [`${KVSTOREMESH_LOCKS}1`]: '' });
  const replica = new Replica(store);
  await queueOf(store, 3);
  await store.put({ [`${KVSTOREMESH_LOCKS}0`]: '' });
  await store.delete(`${KVSTOREMESH_LOCKS}7000000000000001`);
  await queueOf(store, 3);
  expect(replica.isLeading).toBe(false);
  await store.delete(`${KVSTOREMESH_LOCKS}1`);
  await replica.leads();
});

test('a leader whose lease is revoked loses leadership, and leads again if no other replica waits', async () => {
  await using store = await startLocal();
  const replica = new Replica(store);
  const before = await replica.leads();
  const [own] = await queue(store);
  await store.client.revokeLease(own?.lease ?? NO_LEASE, soon());
  await until('it leads another term', () => replica.terms === 2 && replica.term);
  expect(before.signal.aborted).toBe(true);
  const [again] = await queueOf(store, 1);
  expect(again?.key).not.toBe(own?.key);
});

test('a leader whose key is deleted hands over to who waits, and waits itself', async () => {
  await using store = await startLocal();
  const first = new Replica(store);
  await first.leads();
  const [own] = await queue(store);
  const second = new Replica(store);
  await queueOf(store, 2);
  await store.delete(own?.key ?? '');
  await second.leads();
  await queueOf(store, 2);
  expect(first.isLeading).toBe(false);
  await second.stop();
  await first.leads();
});

test('a leader that cannot reach etcd ends its term with its lease, and stands by once it can', async () => {
  await using store = await startLocal();
  const proxy = await startTcpProxy(store.process.port);
  onTestFinished(() => proxy.stop());
  const first = new Replica(store, { ttlSeconds: SHORT_TTL_SECONDS, endpoint: proxy.endpoint });
  const term = await first.leads();
  const second = new Replica(store);
  await first.isAwaited();
  await proxy.refuse();
  proxy.cut();
  await until('the term of the first one is over', () => term.signal.aborted, { withinMs: 45_000 });
  await second.leads();
  await proxy.heal();
  await queueOf(store, 2);
  expect(second.isLeading).toBe(true);
});

test('a leader for which no other replica waits keeps its term while etcd is away for longer than its lease', async () => {
  await using store = await startLocal();
  const replica = new Replica(store, { ttlSeconds: SHORT_TTL_SECONDS });
  const term = await replica.leads();
  await store.process.kill();
  const killedMs = performance.now();
  await until('the lease is over', () => performance.now() - killedMs > 2_000 * SHORT_TTL_SECONDS);
  expect(term.signal.aborted).toBe(false);
});

test('a former leader writes nothing, even before it detects the loss', async () => {
  await using store = await startLocal();
  const createRevision = await store.put({ lock: '' });
  let fenced = 0;
  const client = new FencedClient({
    client: store.client,
    lock: { key: keyOf('lock'), lease: NO_LEASE, createRevision },
    onLost: () => {
      fenced += 1;
    },
    clock: systemClock,
    log: silentLogger,
    signal: soon().signal,
  });
  const operations = [{ type: 'put', key: keyOf('cilium/x'), value: bytes('1'), lease: NO_LEASE }] as const;
  await client.txn(operations, soon());
  await store.delete('lock', 'cilium/x');
  await expect(client.txn(operations, soon())).rejects.toThrow(ConditionFailedError);
  expect(await store.dump()).toEqual({});
  expect(fenced).toBe(1);
});

test('a rejected write ends the term, and the writer sees the end of the term and no failure', async () => {
  await using store = await startLocal();
  const proxy = await startTcpProxy(store.process.port);
  onTestFinished(() => proxy.stop());
  const replica = new Replica(store, { endpoint: proxy.endpoint });
  const term = await replica.leads();
  const [own] = await queue(store);
  // Until the next write the replica cannot detect that its key is gone.
  proxy.blackHole('toClient');
  await store.delete(own?.key ?? '');
  const operations = [{ type: 'put', key: keyOf('cilium/x'), value: bytes('1'), lease: NO_LEASE }] as const;
  const written = term.client.txn(operations, { signal: term.signal, timeoutMs: 60_000 });
  written.catch(() => undefined);
  await proxy.heal();
  await expect(written).rejects.toThrow(/leader lock lost/);
  expect(await store.dump('cilium/x')).toEqual({});
});

test.for([
  ['with another identity', 'other'],
  ['with the same identity', undefined],
] as const)('an etcd that comes back empty, %s, is led again', async ([, clusterToken]) => {
  await using store = await startLocal();
  const replica = new Replica(store);
  const term = await replica.leads();
  await store.process.restart({ wipe: true, ...(clusterToken === undefined ? {} : { clusterToken }) });
  await until('it leads another term', () => replica.terms === 2 && replica.term, { withinMs: 45_000 });
  expect(term.signal.aborted).toBe(true);
});

test('an etcd that is unreachable for a moment and keeps its data costs no replica the lock', async () => {
  await using store = await startLocal();
  const replica = new Replica(store);
  const term = await replica.leads();
  const second = new Replica(store);
  await queueOf(store, 2);
  await store.process.restart();
  await store.put({ [`${KVSTOREMESH_LOCKS}1`]: '' });
  await store.delete(`${KVSTOREMESH_LOCKS}1`);
  await term.client.txn([{ type: 'delete', key: keyOf('cilium/x') }], soon());
  expect(term.signal.aborted).toBe(false);
  expect(second.isLeading).toBe(false);
});

test('a lost lock is logged and shown at once, although the tasks of the term still end', async () => {
  await using store = await startLocal();
  const tasks = Promise.withResolvers<void>();
  const replica = new Replica(store, { lead: () => tasks.promise });
  onTestFinished(() => tasks.resolve());
  await until('it leads', async () => (await replica.status()) === 1);
  const [own] = await queue(store);
  await store.delete(own?.key ?? '');
  const isLogged = () => replica.lines.some(({ msg }) => msg === 'leader lock lost; standing by');
  await until('the loss is logged', isLogged);
  expect(await replica.status()).toBe(0);
});

test('a leader that cannot continue leaves the queue and reports the reason', async () => {
  await using store = await startLocal();
  const replica = new Replica(store, { lead: () => Promise.reject(new Error('no directory')) });
  await expect(replica.ended).rejects.toThrow('no directory');
  expect(await queue(store)).toEqual([]);
});

test('a replica stops in time while its etcd is away', async () => {
  await using store = await startLocal();
  const replica = new Replica(store);
  await replica.leads();
  await store.process.kill();
  await within('it stops', replica.stop(), 5_000);
});

test('etcdctl lock, which is the recipe that the original uses, and a replica wait for each other', async (context) => {
  const reason = etcdctlMissing();
  context.skip(reason !== undefined, reason);
  await using store = await startLocal();
  const lock = () => {
    const child = spawn(ETCDCTL, [`--endpoints=${store.process.endpoint}`, 'lock', KVSTOREMESH_LOCKS.slice(0, -1)], {
      env: { ...process.env, ETCDCTL_API: '3' },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    return { child, acquired: once(child.stdout, 'data').then(([data]) => String(data).trim()) };
  };
  const before = lock();
  const acquired = await within('etcdctl has the lock', before.acquired);
  expect(acquired).toBe((await queue(store))[0]?.key);
  const replica = new Replica(store);
  await queueOf(store, 2);
  const after = lock();
  await queueOf(store, 3);
  expect(replica.isLeading).toBe(false);
  before.child.kill('SIGTERM');
  await replica.leads();
  await replica.stop();
  expect(await within('etcdctl has the lock', after.acquired)).toBe((await queue(store))[0]?.key);
});
