/** An etcd that means harm: more, larger and other answers than were asked for. */

import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { ReceiveBudget } from '../../../src/shared/etcd/wire/receive-budget.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { connect, listAll, soon } from '../../support/etcd/etcd-client.ts';
import { record, seen } from '../../support/etcd/etcd-fixture.ts';
import { WatchResponse } from '../../support/etcd/etcd-messages.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { answer, eventsAt, faultyEtcd, header } from './faulty-etcd.ts';

const quick = { clock: hurriedClock(20) };

const kv = (key: string, value = '') => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  modRevision: 1n,
  createRevision: 1n,
  version: 1n,
  lease: 0n,
});

const page = (kvs: ReturnType<typeof kv>[], more = false) => ({ header: header(50), kvs, more, count: BigInt(kvs.length) });

const eventOf = (key: string, revision: number, type: 0 | 1 = 0) => ({
  type,
  kv: { ...kv(key, 'v'), modRevision: BigInt(revision) },
});

describe('a watch delivers nothing but what it asked for', () => {
  test.each([
    ['a prefix', {}, ['a', 'k', 'k0', 'l/1', 'cilium/synced/x/y'], ['k/1', 'k/2']],
    ['a single key', { exact: true }, ['k/1', 'k/', 'kk'], ['k', 'k']],
  ])('of %s', async (_, options: { readonly exact?: boolean }, foreign, asked) => {
    let dropped = 0;
    const { endpoint } = await faultyEtcd({
      watch: ({ send }) => {
        send(
          answer(50, { events: [...foreign.map((key) => eventOf(key, 11)), ...asked.map((key, at) => eventOf(key, 12 + at))] }),
        );
        send(answer(60));
        send(answer(40));
        send(answer(60, { events: foreign.map((key) => eventOf(key, 70, 1)) }));
        send(answer(80, { events: [eventOf(asked[0] ?? '', 80)] }));
      },
    });
    const observer = {
      begin: () => () => undefined,
      events: () => undefined,
      certificates: () => undefined,
      droppedEvents: (count: number) => {
        dropped += count;
      },
    };
    const prefix = options.exact === true ? 'k' : 'k/';
    const watch = record(connect(endpoint, { observer }), prefix, 10, options);
    const events = await seen(watch, asked.length + 1);
    expect(events.map(({ key }) => key)).toEqual([...asked, asked[0]]);
    // With the old notification, which has no information.
    expect(dropped).toBe(2 * foreign.length + 1);
  });

  test('of deletions alone', async () => {
    const { endpoint } = await faultyEtcd({
      watch: ({ send }) => send(answer(50, { events: [eventOf('k/1', 11), eventOf('k/2', 12, 1)] })),
    });
    const watch = record(connect(endpoint), 'k/', 10, { deletesOnly: true });
    expect((await seen(watch, 1)).map(({ key }) => key)).toEqual(['k/2']);
  });
});

describe('a list is an error where a page has', () => {
  test.each([
    ['a key below the range', [kv('a')]],
    ['a key above the range', [kv('k/1'), kv('l')]],
    ['keys out of order', [kv('k/2'), kv('k/1')]],
    ['a key twice', [kv('k/1'), kv('k/1')]],
    ['more keys than were asked for', Array.from({ length: 11 }, (_, at) => kv(`k/${String(at).padStart(3, '0')}`))],
  ])('%s', async (_, kvs) => {
    const { endpoint } = await faultyEtcd({ range: () => page(kvs) });
    await expect(listAll(connect(endpoint, { pageSize: 10 }), 'k/')).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
  });

  test('a second page that begins where the first one did', async () => {
    const { endpoint } = await faultyEtcd({ range: () => page([kv('k/1'), kv('k/2')], true) });
    await expect(listAll(connect(endpoint), 'k/')).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
  });
});

test('a key that was not asked for is an error, as are two', async () => {
  const other = await faultyEtcd({ range: () => page([kv('other')]) });
  await expect(connect(other.endpoint).get(keyOf('k'), soon())).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
  const two = await faultyEtcd({ range: () => page([kv('k'), kv('k1')]) });
  await expect(connect(two.endpoint).get(keyOf('k'), soon())).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
});

const limits = (maxMessageBytes: number, budget = new ReceiveBudget()) => ({ receive: { maxMessageBytes, budget } });

test('a page that is larger than a message may be is asked for in smaller ones', async () => {
  const all = Array.from({ length: 40 }, (_, at) => kv(`k/${String(at).padStart(2, '0')}`, 'v'.repeat(20_000)));
  const asked: number[] = [];
  const { endpoint } = await faultyEtcd({
    range: ({ key, limit }) => {
      asked.push(Number(limit));
      const from = all.filter((each) => Buffer.compare(each.key, key) >= 0);
      return page(from.slice(0, Number(limit)), from.length > Number(limit));
    },
  });
  const listed = await listAll(connect(endpoint, { ...limits(100_000), pageSize: 32 }), 'k/');
  expect(listed.map(({ key }) => key)).toEqual(all.map(({ key }) => key.toString()));
  expect(asked.slice(0, 2)).toEqual([32, 4]);
});

test('pages of a large prefix grow, as etcd counts all remaining keys for each', async () => {
  const all = Array.from({ length: 2_000 }, (_, at) => kv(`k/${String(at).padStart(4, '0')}`));
  const asked: number[] = [];
  const { endpoint } = await faultyEtcd({
    range: ({ key, limit }) => {
      asked.push(Number(limit));
      const from = all.filter((each) => Buffer.compare(each.key, key) >= 0);
      return { ...page(from.slice(0, Number(limit)), from.length > Number(limit)), count: BigInt(from.length) };
    },
  });
  const listed = await listAll(connect(endpoint, { pageSize: 4 }), 'k/');
  expect(listed.map(({ key }) => key)).toEqual(all.map(({ key }) => key.toString()));
  expect(asked.slice(0, 2)).toEqual([4, 20]);
  expect(Math.max(...asked)).toBe(20);
});

test('a value that no message can carry is an error by name', async () => {
  const { endpoint } = await faultyEtcd({ range: () => page([kv('k/1', 'v'.repeat(200_000))]) });
  const list = listAll(connect(endpoint, limits(100_000)), 'k/');
  await expect(list).rejects.toMatchObject({ code: 'ETCD_RESPONSE_TOO_LARGE' });
});

test('a catch-up that is larger than a message may be calls for a list', async () => {
  const big = eventsAt(11, 12).map(({ type, kv: each }) => ({ type, kv: { ...each, value: Buffer.alloc(60_000) } }));
  const { endpoint } = await faultyEtcd({ watch: ({ send }) => send(answer(50, { events: big })) });
  const watch = record(connect(endpoint, limits(100_000)), 'k/', 10);
  await until('the watch has ended', watch.hasEnded);
  expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: 0 }]);
});

test('a message of more events than a revision can have calls for a list, and fragments without content end', async () => {
  const flood = Buffer.alloc(2_200_000);
  for (let at = 0; at < flood.length; at += 2) flood[at] = 0x5a;
  const events = await faultyEtcd({
    watch: ({ sendBytes }) => sendBytes(Buffer.concat([WatchResponse.encode(answer(50)), flood])),
  });
  const watch = record(connect(events.endpoint), 'k/', 10);
  await until('the watch has ended', watch.hasEnded);
  const fragments = await faultyEtcd({
    watch: ({ send }) => {
      for (let count = 0; count < 200; count += 1) send(answer(50, { fragment: true }));
    },
  });
  const fragmented = record(connect(fragments.endpoint, limits(400_000)), 'k/', 10);
  await until('the watch has ended', fragmented.hasEnded);
});

/** Serves every call with these frames of gRPC and headers. */
async function rawServer(headers: http2.OutgoingHttpHeaders, frames: readonly Buffer[]): Promise<string> {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session.on('error', () => undefined)));
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...headers });
    for (const frame of frames) stream.write(frame);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function frameOf(message: Buffer, flag: number): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

test.each([
  ['as the header says', { 'grpc-encoding': 'gzip' }],
  ['without a header', {}],
])('a compressed message is refused, %s', async (_, headers) => {
  const bomb = gzipSync(Buffer.alloc(10_000_000));
  const endpoint = await rawServer(headers, [frameOf(bomb, 1)]);
  await expect(connect(endpoint).get(keyOf('k'), soon())).rejects.toMatchObject({
    code: 'ETCD_UNEXPECTED_STATUS',
    message: expect.stringContaining('compressed'),
  });
});

test('the connection that holds most of the shared budget is dropped, by name, and the others continue', async () => {
  const budget = new ReceiveBudget(8_000_000);
  const honest = await faultyEtcd({ range: () => page([kv('k', 'v'.repeat(100_000))]) });
  // Announces 50 MB, sends 12 of them, and never ends.
  const unfinished = frameOf(Buffer.alloc(50_000_000), 0).subarray(0, 12_000_000);
  const hostile = await rawServer({}, [unfinished]);
  const { log, lines } = recordingLogger();
  const receive = { maxMessageBytes: 64_000_000, budget };
  const client = connect(hostile, { ...quick, log, receive, name: 'berlin' });
  record(client, 'k/', 10);
  const other = connect(honest.endpoint, { receive });
  await until('it is dropped', async () => {
    expect((await other.get(keyOf('k'), soon()))?.value.length).toBe(100_000);
    return lines.some(({ code, reason }) => code === 'ETCD_RECEIVE_BUDGET' && reason?.includes('berlin'));
  });
  for (let call = 0; call < 50; call += 1) expect((await other.get(keyOf('k'), soon()))?.value.length).toBe(100_000);
});
