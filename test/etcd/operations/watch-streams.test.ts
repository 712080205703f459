/** Watches of one client that share a stream. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { keyOf, NO_LEASE, type Revision, type WatchBatch } from '../../../src/shared/etcd/types.ts';
import { connect, revisionOf, soon } from '../../support/etcd/etcd-client.ts';
import { etcdForTest, put, record, remove, seen } from '../../support/etcd/etcd-fixture.ts';
import { RangeResponse, WatchResponse, type WatchResponseMessage } from '../../support/etcd/etcd-messages.ts';
import { scriptedEtcd, type WatchCall, type WatchCreateRequest, watchResponse } from '../../support/etcd/scripted-etcd.ts';
import { until } from '../../support/until.ts';

const PREFIXES = Array.from({ length: 8 }, (_, at) => `shared/${at}/`);

/** A counter or gauge of etcd itself. */
async function seriesOf(metricsEndpoint: string, name: string): Promise<number> {
  const text = await (await fetch(`${metricsEndpoint}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]);
}

describe('with a real etcd', () => {
  test('the watches of a client are one stream, and those that end are ended at etcd', async () => {
    const etcd = await etcdForTest();
    const client = connect(etcd.endpoint);
    const from = (await revisionOf(client)) + 1;
    const watches = PREFIXES.map((prefix) => record(client, prefix, from));
    for (const prefix of PREFIXES) await put(client, `${prefix}a`);
    for (const [at, watch] of watches.entries()) {
      expect((await seen(watch, 1)).map(({ key }) => key)).toEqual([`${PREFIXES[at]}a`]);
    }
    const gauge = (name: string) => seriesOf(etcd.metricsEndpoint, `etcd_debugging_mvcc_${name}`);
    expect([await gauge('watch_stream_total'), await gauge('watcher_total')]).toEqual([1, 8]);

    for (const watch of watches.slice(1)) await watch.stop();
    await until('seven watches have ended at etcd', async () => (await gauge('watcher_total')) === 1);
    await put(client, `${PREFIXES[0]}b`);
    await seen(watches[0] ?? expect.fail(), 2);
    await watches[0]?.stop();
    await until('the stream has ended', async () => (await gauge('watch_stream_total')) === 0);
  });

  test('a watch without a reader does not delay the others, and has lost nothing afterwards', async () => {
    const etcd = await etcdForTest();
    const client = connect(etcd.endpoint);
    const direct = connect(etcd.endpoint);
    const from = ((await revisionOf(client)) + 1) as Revision;
    const abort = new AbortController();
    const slow = client.watch(keyOf('slow/'), { signal: abort.signal, from })[Symbol.asyncIterator]();
    const other = record(client, 'other/', from);
    await put(direct, 'slow/first');
    expect((await slow.next()).value).toMatchObject({ kind: 'events' });

    const value = Buffer.alloc(50_000, 'v');
    for (let at = 0; at < 200; at += 1) {
      await direct.txn([{ type: 'put', key: keyOf(`slow/${at}`), value, lease: NO_LEASE }], soon());
      if (at % 20 === 0) await put(direct, `other/${at}`);
    }
    expect((await seen(other, 10)).map(({ type }) => type)).toEqual(Array.from({ length: 10 }, () => 'put'));
    await remove(direct, 'slow/first');

    const keys: string[] = [];
    while (keys.at(-1) !== 'slow/first') {
      const { value } = await slow.next();
      const batch: WatchBatch | undefined = value;
      if (batch?.kind === 'events') keys.push(...batch.events.map(({ key }) => key));
    }
    expect(keys).toEqual([...Array.from({ length: 200 }, (_, at) => `slow/${at}`), 'slow/first']);
    abort.abort();
  });

  test('the watches come back after a cut, on one stream again', async () => {
    const etcd = await etcdForTest();
    const client = connect(etcd.endpoint);
    const from = (await revisionOf(client)) + 1;
    const watches = PREFIXES.map((prefix) => record(client, prefix, from));
    for (const prefix of PREFIXES) await put(client, `${prefix}a`);
    for (const watch of watches) await seen(watch, 1);
    await etcd.restart();
    for (const prefix of PREFIXES) await put(client, `${prefix}b`);
    for (const watch of watches) await seen(watch, 2);
    expect(await seriesOf(etcd.metricsEndpoint, 'etcd_debugging_mvcc_watch_stream_total')).toBe(1);
  });
});

const HEADER = { clusterId: 7n, memberId: 1n, revision: 1000n, raftTerm: 1n };

interface Asked {
  readonly call: number;
  readonly prefix: string;
  readonly request: WatchCreateRequest;
  send(response: Partial<WatchResponseMessage>): void;
  sendBytes(message: Buffer): void;
}

/** An etcd that answers each request for a watch as `answer` does. */
async function etcdThat(answer: (asked: Asked, nth: number) => void) {
  const calls: WatchCall[] = [];
  const asked: Asked[] = [];
  const cancelled: number[] = [];
  const { endpoint, stop } = await scriptedEtcd({
    range: (_, done) => done(null, RangeResponse.encode({ header: HEADER, kvs: [], more: false, count: 0n })),
    watch: (call, request) => {
      if (!calls.includes(call)) calls.push(call);
      const sendBytes = (message: Buffer) => void call.write(message);
      const send = (rest: Partial<WatchResponseMessage>) => sendBytes(WatchResponse.encode(watchResponse(HEADER, rest)));
      const one = { call: calls.indexOf(call), prefix: request.key.toString(), request, send, sendBytes };
      asked.push(one);
      answer(one, asked.length);
    },
    cancel: (_, watchId) => void cancelled.push(watchId),
  });
  onTestFinished(stop);
  return { endpoint, asked, cancelled };
}

const eventOf = (key: string, revision: number) => ({
  type: 0,
  kv: {
    key: Buffer.from(key),
    value: Buffer.from('v'),
    modRevision: BigInt(revision),
    createRevision: 1n,
    version: 1n,
    lease: 0n,
  },
});

describe('with a scripted etcd', () => {
  test('a server may number the watches itself', async () => {
    const { endpoint } = await etcdThat(({ send, prefix }, nth) => {
      const watchId = BigInt(nth - 1);
      send({ watchId, created: true });
      send({ watchId, events: [eventOf(`${prefix}a`, 1001)] });
    });
    const client = connect(endpoint);
    const watches = ['a/', 'b/', 'c/'].map((prefix) => record(client, prefix, 5));
    for (const [at, prefix] of ['a/', 'b/', 'c/'].entries())
      expect(await seen(watches[at] ?? expect.fail(), 1)).toMatchObject([{ key: `${prefix}a` }]);
  });

  test('a watch that is refused does not harm those beside it', async () => {
    const { endpoint, asked } = await etcdThat(({ send, prefix, request }) => {
      if (prefix === 'b/') send({ watchId: -1n, created: true, canceled: true, cancelReason: 'etcdserver: permission denied' });
      else {
        send({ watchId: request.watchId, created: true });
        send({ watchId: request.watchId, events: [eventOf(`${prefix}a`, 1001)] });
      }
    });
    const client = connect(endpoint);
    const watches = ['a/', 'b/', 'c/'].map((prefix) => record(client, prefix, 5));
    await seen(watches[0] ?? expect.fail(), 1);
    await seen(watches[2] ?? expect.fail(), 1);
    await until('the refused one is asked for again', () => asked.filter(({ prefix }) => prefix === 'b/').length > 1);
    expect(asked.filter(({ prefix }) => prefix !== 'b/')).toHaveLength(2);
    expect(watches[1]?.batches).toEqual([]);
  });

  test('a message that cannot be read harms the watch that it is for, and no other', async () => {
    const { endpoint, asked } = await etcdThat(({ send, sendBytes, prefix, request: { watchId } }) => {
      send({ watchId, created: true });
      if (prefix === 'b/') sendBytes(Buffer.from([0x5a, 0xff]));
      else send({ watchId, events: [eventOf(`${prefix}a`, 1001)] });
    });
    const client = connect(endpoint);
    const watches = ['a/', 'b/', 'c/'].map((prefix) => record(client, prefix, 5));
    const [a, , c] = watches;
    expect(await seen(a ?? expect.fail(), 1)).toMatchObject([{ key: 'a/a' }]);
    expect(await seen(c ?? expect.fail(), 1)).toMatchObject([{ key: 'c/a' }]);
    await until('the bad one is tried again', () => asked.filter(({ prefix }) => prefix === 'b/').length > 3);
    for (const good of ['a/', 'c/']) expect(asked.filter(({ prefix }) => prefix === good).length).toBeLessThan(3);
  });

  test('a watch that ends before its answer is ended at the server once that comes', async () => {
    const late: Asked[] = [];
    const { endpoint, cancelled, asked } = await etcdThat((one) => {
      if (one.prefix === 'late/') late.push(one);
      else one.send({ watchId: one.request.watchId, created: true });
    });
    const client = connect(endpoint);
    const stays = record(client, 'stays/', 5);
    await until('it is asked for', () => asked.length === 1);
    const ends = record(client, 'late/', 5);
    await until('both are asked for', () => asked.length === 2);
    await ends.stop();
    await until('it has ended', ends.hasEnded);
    const [one] = late;
    one?.send({ watchId: one.request.watchId, created: true });
    await until('it is ended at the server', () => cancelled.includes(Number(one?.request.watchId)));
    expect(stays.hasEnded()).toBe(false);
  });
});
