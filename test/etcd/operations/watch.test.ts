import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EtcdKey, keyOf, NO_LEASE, type Revision } from '../../../src/shared/etcd/types.ts';
import { connect, revisionOf, soon } from '../../support/etcd/etcd-client.ts';
import {
  etcdForTest,
  FAST_KEEPALIVE,
  FAST_PINGS,
  proxyForTest,
  put,
  putMany,
  record,
  remove,
  seen,
} from '../../support/etcd/etcd-fixture.ts';
import { compactEtcd } from '../../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';

describe.each(etcdVersions())('with etcd $version', ({ version }) => {
  let etcd: EtcdProcess;
  let proxy: TcpProxy;
  beforeAll(async () => {
    etcd = await startEtcd({ version, args: FAST_PINGS });
    proxy = await startTcpProxy(etcd.port);
  });
  afterAll(async () => {
    await proxy.stop();
    await etcd.stop();
  });

  test('fault 1: a watch cut in the middle of a backlog delivers every event once, in order', async () => {
    const direct = connect(etcd.endpoint);
    const from = (await revisionOf(direct)) + 1;
    const written = await putMany(direct, 'cut/', 3_000);
    proxy.cutAfterBytes(200_000);
    const accepted = proxy.accepted;
    const watch = record(connect(proxy.endpoint), 'cut/', from);
    const events = await seen(watch, 3_000);
    expect(events.map(({ key }) => key)).toEqual(written);
    expect(proxy.accepted - accepted).toBeGreaterThan(1);
  });

  test('a watch that is cut again and again while keys are written delivers every event once, in order', async () => {
    const direct = connect(etcd.endpoint);
    const from = (await revisionOf(direct)) + 1;
    const watch = record(connect(proxy.endpoint), 'again/', from);
    const written: EtcdKey[] = [];
    for (let round = 0; round < 6; round += 1) {
      written.push(...(await putMany(direct, `again/${round}/`, 500, 50)));
      if (round % 2 === 0) proxy.cut();
      else proxy.cutAfterBytes(20_000);
    }
    await proxy.heal();
    const events = await seen(watch, written.length);
    expect(events.map(({ key }) => key)).toEqual(written);
  });

  test('deletions come with the revision of the deletion, and alone where only they are wanted', async () => {
    const client = connect(etcd.endpoint);
    const from = await put(client, 'del/a');
    await put(client, 'del/b');
    const deleted = await client.txn([{ type: 'delete', key: keyOf('del/'), end: keyOf('del0') }], soon());
    await put(client, 'del/c');
    const all = await seen(record(client, 'del/', from), 5);
    expect(all.map(({ type, key, modRevision }) => [type, key, modRevision === deleted])).toEqual([
      ['put', 'del/a', false],
      ['put', 'del/b', false],
      ['delete', 'del/a', true],
      ['delete', 'del/b', true],
      ['put', 'del/c', false],
    ]);
    const watch = record(client, 'del/', from, { deletesOnly: true });
    await seen(watch, 2);
    await remove(client, 'del/c');
    expect((await seen(watch, 3)).map(({ type, key }) => [type, key])).toEqual([
      ['delete', 'del/a'],
      ['delete', 'del/b'],
      ['delete', 'del/c'],
    ]);
  });

  test('a list and a watch of one key alone leave out the keys that begin with it', async () => {
    const client = connect(etcd.endpoint);
    const from = await put(client, 'exact');
    await put(client, 'exact/below');
    const listed: string[] = [];
    for await (const page of client.list(keyOf('exact'), { ...soon(), exact: true }))
      listed.push(...page.keyValues.map(({ key }) => key));
    expect(listed).toEqual(['exact']);
    const watch = record(client, 'exact', from, { exact: true });
    await remove(client, 'exact');
    expect((await seen(watch, 2)).map(({ type, key }) => [type, key])).toEqual([
      ['put', 'exact'],
      ['delete', 'exact'],
    ]);
  });

  test('a list starts at the given key', async () => {
    const client = connect(etcd.endpoint);
    for (const key of ['from/a', 'from/b', 'from/c']) await put(client, key);
    const listed: string[] = [];
    const options = { ...soon(), start: keyOf('from/b'), pageSize: 1 };
    for await (const page of client.list(keyOf('from/'), options)) listed.push(...page.keyValues.map(({ key }) => key));
    expect(listed).toEqual(['from/b', 'from/c']);
  });

  test('fault 2: a watch from a compacted revision ends with that as its value', async () => {
    const client = connect(etcd.endpoint);
    const from = await put(client, 'compact/a');
    await put(client, 'compact/b');
    const revision = await put(client, 'compact/c');
    await compactEtcd(etcd.endpoint, revision);
    const watch = record(client, 'compact/', from);
    await until('the watch has ended', watch.hasEnded);
    expect(watch.batches).toEqual([
      { kind: 'compacted', compactRevision: expect.toSatisfy((told) => told === revision || told === 0) },
    ]);
  });

  test('a compaction while the connection is down ends the watch with that as its value', async () => {
    const direct = connect(etcd.endpoint);
    const from = await put(direct, 'away/a');
    const watch = record(connect(proxy.endpoint), 'away/', from);
    await seen(watch, 1);
    await proxy.disconnect();
    await remove(direct, 'away/a');
    await compactEtcd(etcd.endpoint, await put(direct, 'away/b'));
    await proxy.heal();
    await until('the watch has ended', watch.hasEnded, { withinMs: 45_000 });
    expect(watch.last()).toMatchObject({ kind: 'compacted' });
    expect(watch.events.length).toBe(1);
  });

  test('a compaction of exactly the revision to resume from ends the watch, for deletions of it may be lost', async () => {
    const client = connect(etcd.endpoint);
    await put(client, 'exactly/a');
    const revision = await remove(client, 'exactly/a');
    await compactEtcd(etcd.endpoint, revision);
    const watch = record(client, 'exactly/', revision);
    await until('the watch has ended', watch.hasEnded);
    expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: 0 }]);
  });

  test('a watch resumes where it was, in spite of a compaction of what it has delivered', async () => {
    const direct = connect(etcd.endpoint);
    const revision = await put(direct, 'fine/a');
    const watch = record(connect(proxy.endpoint), 'fine/', revision);
    await seen(watch, 1);
    await compactEtcd(etcd.endpoint, revision);
    proxy.cut();
    await put(direct, 'fine/b');
    await seen(watch, 2);
    expect(watch.hasEnded()).toBe(false);
  });

  test('fault 8: a store that was emptied is noticed although its cluster ID is the same', async () => {
    const own = await etcdForTest({ version });
    const client = connect(own.endpoint);
    await putMany(client, 'k/', 50, 1);
    const watch = record(client, 'k/', 2);
    await seen(watch, 50);
    const { clusterId } = client.state;
    await own.restart({ wipe: true });
    await until('the watch has ended', watch.hasEnded, { withinMs: 45_000 });
    expect(watch.last()).toMatchObject({ kind: 'replaced', reason: expect.stringMatching(/is behind revision 51/) });
    expect(client.state.clusterId).toBe(clusterId);
  });

  test('fault 8: another store behind the endpoint ends the watch, until the cluster is forgotten', async () => {
    const own = await etcdForTest({ version });
    const client = connect(own.endpoint);
    await put(client, 'k/a');
    const watch = record(client, 'k/', 2);
    await seen(watch, 1);
    await own.restart({ wipe: true, clusterToken: 'another' });
    await until('the watch has ended', watch.hasEnded, { withinMs: 45_000 });
    expect(watch.last()).toMatchObject({
      kind: 'replaced',
      reason: expect.stringMatching(/etcd cluster ID [0-9a-f]+, expected/),
    });
    await expect(put(client, 'k/b')).rejects.toMatchObject({ code: 'ETCD_CLUSTER_CHANGED' });
    expect(client.state).toMatchObject({ connected: false, lastError: { code: 'ETCD_CLUSTER_CHANGED' } });
    client.forgetCluster();
    await put(client, 'k/b');
    expect(client.state.connected).toBe(true);
  });

  test('a watch of one store never continues with another, even if the cluster ID was cleared in between', async () => {
    const own = await etcdForTest({ version });
    const client = connect(own.endpoint);
    await put(client, 'k/a');
    const watch = record(client, 'k/', 2);
    await seen(watch, 1);
    client.forgetCluster();
    await own.restart({ wipe: true, clusterToken: 'another' });
    await until('the new store answers', () => put(client, 'k/b'), { withinMs: 45_000 });
    await putMany(client, 'k/', 50, 1);
    await until('the watch has ended', watch.hasEnded, { withinMs: 45_000 });
    expect(watch.last()).toMatchObject({ kind: 'replaced' });
    expect(watch.events.length).toBe(1);
  });

  test('a watch without a reader uses no memory, delays no other, and has lost nothing afterwards', async () => {
    const direct = connect(etcd.endpoint);
    const from = (await revisionOf(direct)) + 1;
    const client = connect(proxy.endpoint);
    const abort = new AbortController();
    const slow = client.watch(keyOf('slow/'), { signal: abort.signal, from: from as Revision })[Symbol.asyncIterator]();
    await put(direct, 'slow/first');
    expect((await slow.next()).value).toMatchObject({ kind: 'events' });
    const before = proxy.bytes.toClient;
    const value = Buffer.alloc(50_000, 'v');
    for (let at = 0; at < 400; at += 1)
      await direct.txn([{ type: 'put', key: keyOf(`slow/${at}`), value, lease: NO_LEASE }], soon());
    // Twenty megabytes are there to be had; two windows and a message are let through.
    await until('the flow stops', async () => {
      const taken = proxy.bytes.toClient;
      await client.get(keyOf('slow/first'), soon());
      return taken > before && proxy.bytes.toClient - taken < 1000;
    });
    expect(proxy.bytes.toClient - before).toBeLessThan(5_000_000);
    let count = 0;
    while (count < 400) {
      const { value: batch } = await slow.next();
      if (batch?.kind === 'events') count += batch.events.length;
    }
    abort.abort();
    expect((await slow.next()).done).toBe(true);
  });

  test('a watch ends without an error when its signal is aborted, and when its reader leaves', async () => {
    const client = connect(etcd.endpoint);
    const from = await put(client, 'end/a');
    const watch = record(client, 'end/', from);
    await seen(watch, 1);
    await watch.stop();
    expect(watch.hasEnded()).toBe(true);
    for await (const batch of client.watch(keyOf('end/'), { signal: new AbortController().signal, from })) {
      expect(batch.kind).toBe('events');
      break;
    }
    const aborted = record(client, 'end/', from);
    await aborted.stop();
    expect(aborted.events).toEqual([]);
  });

  test('fault 11: a black hole is noticed by pings, reported, and left behind nothing when it ends', async () => {
    const direct = connect(etcd.endpoint);
    const { log, lines } = recordingLogger();
    const client = connect(proxy.endpoint, { keepalive: FAST_KEEPALIVE, log });
    const from = await put(direct, 'hole/a');
    const watch = record(client, 'hole/', from);
    await seen(watch, 1);
    proxy.blackHole();
    await until('the loss is noticed', () => !client.state.connected);
    await put(direct, 'hole/b');
    await proxy.heal();
    await seen(watch, 2);
    await until('the client is connected again', () => client.state.connected);
    expect(watch.events.map(({ key }) => key)).toEqual(['hole/a', 'hole/b']);
    expect(lines.filter(({ level }) => level === 'warn').map(({ code }) => code)).toEqual(['ETCD_UNAVAILABLE']);
  });

  test('fault 13: a hole for answers only is noticed as well', async () => {
    const direct = connect(etcd.endpoint);
    const client = connect(proxy.endpoint, { keepalive: FAST_KEEPALIVE });
    const from = await put(direct, 'oneway/a');
    const watch = record(client, 'oneway/', from);
    await seen(watch, 1);
    proxy.blackHole('toClient');
    await until('the loss is noticed', () => !client.state.connected);
    await put(direct, 'oneway/b');
    await proxy.heal();
    expect((await seen(watch, 2)).map(({ key }) => key)).toEqual(['oneway/a', 'oneway/b']);
  });

  test('fault 12: a half-closed connection is left for another one', async () => {
    const direct = connect(etcd.endpoint);
    const from = await put(direct, 'half/a');
    const watch = record(connect(proxy.endpoint), 'half/', from);
    await seen(watch, 1);
    const { accepted } = proxy;
    proxy.halfClose();
    await until('there is another connection', () => proxy.accepted > accepted);
    await put(direct, 'half/b');
    expect((await seen(watch, 2)).map(({ key }) => key)).toEqual(['half/a', 'half/b']);
  });

  test('a server that stands still is left and found again', async () => {
    const own = await etcdForTest({ version, args: FAST_PINGS });
    const client = connect(own.endpoint, { keepalive: FAST_KEEPALIVE });
    const from = await put(client, 'k/a');
    const watch = record(client, 'k/', from);
    await seen(watch, 1);
    own.pause();
    await until('the loss is noticed', () => !client.state.connected);
    own.resume();
    await until('the etcd takes writes again', () => put(client, 'k/b'), { withinMs: 45_000 });
    await seen(watch, 2);
  });

  test('an idle watch receives the progress of the store', async () => {
    const flag =
      version.startsWith('3.4') || version.startsWith('3.5')
        ? '--experimental-watch-progress-notify-interval'
        : '--watch-progress-notify-interval';
    const own = await etcdForTest({ version, args: [`${flag}=100ms`] });
    const ownProxy = await proxyForTest(own.port);
    const direct = connect(own.endpoint);
    const from = await put(direct, 'k/a');
    const watch = record(connect(ownProxy.endpoint), 'k/', from);
    await seen(watch, 1);
    const revision = await put(direct, 'elsewhere');
    await until('the progress is told', () =>
      watch.batches.some((batch) => batch.kind === 'progress' && batch.revision >= revision),
    );
    await ownProxy.disconnect();
    await compactEtcd(own.endpoint, revision);
    await ownProxy.heal();
    await put(direct, 'k/b');
    expect((await seen(watch, 2)).map(({ key }) => key)).toEqual(['k/a', 'k/b']);
  });
});

describe('in bulk', () => {
  let etcd: EtcdProcess;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd.stop());

  test('thirty thousand keys in full transactions arrive in one catch-up, in order', async () => {
    const direct = connect(etcd.endpoint);
    const from = (await revisionOf(direct)) + 1;
    const written = await putMany(direct, 'bulk/', 30_000, 128, 300);
    const watch = record(direct, 'bulk/', from);
    const events = await seen(watch, 30_000);
    expect(events.map(({ key }) => key)).toEqual(written);
    for (const batch of watch.batches) if (batch.kind === 'events') expect(batch.events.length).toBeLessThanOrEqual(1000);
  });

  test('fault 4: the event loop gets its turns while a big answer is delivered', async () => {
    const direct = connect(etcd.endpoint);
    const from = (await revisionOf(direct)) + 1;
    await putMany(direct, 'turns/', 10_000);
    let turns = 0;
    const tick = () => {
      turns += 1;
      ticking = setImmediate(tick);
    };
    let ticking = setImmediate(tick);
    const perBatch: number[] = [];
    const abort = new AbortController();
    let count = 0;
    for await (const batch of direct.watch(keyOf('turns/'), { signal: abort.signal, from: from as Revision })) {
      perBatch.push(turns);
      if (batch.kind === 'events') count += batch.events.length;
      if (count === 10_000) break;
    }
    clearImmediate(ticking);
    expect(new Set(perBatch).size).toBe(perBatch.length);
  });

  test('fault 9: twenty thousand deletions of one revision come whole, and the position stays before them until the last', async () => {
    const client = connect(etcd.endpoint);
    await putMany(client, 'mass/', 20_000, 128, 1);
    const revision = await client.txn([{ type: 'delete', key: keyOf('mass/'), end: keyOf('mass0') }], soon());
    const watch = record(client, 'mass/', revision);
    const events = await seen(watch, 20_000);
    expect(new Set(events.map(({ key }) => key)).size).toBe(20_000);
    const positions = watch.batches.map((batch) => (batch.kind === 'events' ? batch.revision : 0));
    expect(positions.slice(0, -1).every((position) => position < revision)).toBe(true);
    expect(positions.at(-1)).toBe(revision);
  });
});
