import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { DialPacing } from '../../../src/shared/etcd/connection/dial-pacing.ts';
import { HostLookup } from '../../../src/shared/etcd/connection/host-lookup.ts';
import { UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import {
  ETCD_ADDRESS_DELAY_MS,
  ETCD_CONNECT_TIMEOUT_MS,
  ETCD_REDIAL_MAX_MS,
  ETCD_REDIAL_MS,
} from '../../../src/shared/limits.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { connect, listAll, soon } from '../../support/etcd/etcd-client.ts';
import { FAST_KEEPALIVE, FAST_PINGS, proxyForTest, put, putMany, record, seen } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, startEtcd } from '../../support/etcd/etcd-process.ts';
import { freePort } from '../../support/network/free-port.ts';
import { startSynBlackHole } from '../../support/network/syn-black-hole.ts';
import { until } from '../../support/until.ts';

let etcd: EtcdProcess;
beforeAll(async () => {
  etcd = await startEtcd({ args: FAST_PINGS });
});
afterAll(() => etcd.stop());

const NAME = 'etcd.mesh.example';

/** Sockets that are connected, or about to be. */
const sockets = () =>
  process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP') && !kind.includes('Server')).length;

async function blackHole(host?: string, port?: number) {
  const hole = await startSynBlackHole(host, port);
  onTestFinished(() => hole.stop());
  return hole;
}

test('attempts to a host that does not respond end long before the deadline of a request, with their sockets', async () => {
  const { port } = await blackHole();
  const before = sockets();
  const client = connect(`http://127.0.0.1:${port}`);
  const error = await client.get(keyOf('a'), soon()).catch((thrown: unknown) => thrown);
  expect(error).toEqual(new UnavailableError(`no answer from 127.0.0.1:${port} within 2000 ms`));
  client.close();
  await until('no socket is left', () => sockets() <= before, { withinMs: 1_000, status: sockets });
});

test('while a host does not respond, the sockets of older attempts are closed', async () => {
  const { port } = await blackHole();
  const before = sockets();
  let waits = 0;
  const hurried: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      waits += 1;
      return systemClock.sleep(ms / 50, signal);
    },
  };
  const client = connect(`http://127.0.0.1:${port}`, { pacing: new DialPacing(hurried) });
  await expect(client.get(keyOf('a'), soon())).rejects.toThrow(UnavailableError);
  await until('many attempts were made', () => waits > 300);
  expect(sockets() - before).toBeLessThanOrEqual(6);
});

test('the addresses of a name are raced: one that does not answer delays no request', async () => {
  const proxy = await proxyForTest(etcd.port);
  await blackHole('127.0.0.2', proxy.port);
  const hostAliases = new Map([[NAME, ['127.0.0.2', '127.0.0.1']]]);
  const before = sockets();
  const client = connect([], { config: { endpoints: [`http://${NAME}:${proxy.port}`], hostAliases }, random: () => 0 });
  await put(client, 'raced/a');
  // One of the client, two of the proxy.
  await until('the socket of the loser is gone', () => sockets() <= before + 3, { status: () => [before, sockets()] });
});

/** With this clock an endpoint is dialed by one attempt only. `onDelay` is called when that might dial again. */
function singleAttempt(onDelay = () => undefined): DialPacing {
  const sleep: Clock['sleep'] = async (ms, signal) => {
    await systemClock.sleep(ms < ETCD_REDIAL_MS ? ms : 60_000, signal);
    if (ms === ETCD_ADDRESS_DELAY_MS) onDelay();
  };
  return new DialPacing({ ...systemClock, sleep });
}

test('an address that does not respond is dialed a second time by the same attempt, as rules of a Service may have changed', async () => {
  const { port } = await blackHole();
  const before = sockets();
  const client = connect(`http://127.0.0.1:${port}`, { pacing: singleAttempt() });
  void client.get(keyOf('a'), soon()).catch(() => undefined);
  await until('there are two sockets', () => sockets() === before + 2, { status: sockets });
  client.close();
  await until('no socket is left', () => sockets() <= before, { withinMs: 1_000, status: sockets });
});

test('an address that has accepted a connection is not dialed a second time', async () => {
  let accepted = 0;
  const silent = createServer((socket) => {
    accepted += 1;
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  const before = sockets();
  const delayed = Promise.withResolvers<undefined>();
  const client = connect(`http://127.0.0.1:${port}`, { pacing: singleAttempt(() => void delayed.resolve(undefined)) });
  void client.get(keyOf('a'), soon()).catch(() => undefined);
  await delayed.promise;
  // Accepted after all that was dialed before.
  const last = dial(port, '127.0.0.1');
  onTestFinished(() => void last.destroy());
  await until('the last one is accepted', () => accepted >= 2);
  last.destroy();
  expect(accepted).toBe(2);
  client.close();
  await until('no socket is left', () => sockets() <= before, { withinMs: 1_000, status: sockets });
});

test('a name is asked for again at each attempt, so that another address is found at once', async () => {
  const proxy = await proxyForTest(etcd.port);
  const asked: string[] = [];
  let address = '127.0.0.9';
  const lookup = new HostLookup((host) => {
    asked.push(host);
    return Promise.resolve([address]);
  });
  const client = connect(`http://${NAME}:${proxy.port}`, { lookup });
  await expect(client.get(keyOf('a'), soon())).rejects.toThrow(`connect ECONNREFUSED 127.0.0.9:${proxy.port}`);
  const watch = record(client, 'moved/', 1);
  await until('it was asked for a few times', () => asked.length >= 4);
  address = '127.0.0.1';
  await put(connect(etcd.endpoint), 'moved/a');
  await seen(watch, 1);
  expect(new Set(asked)).toEqual(new Set([NAME]));
});

test('names are looked up two at a time, and concurrent callers share a lookup', async () => {
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const lookup = new HostLookup((host) => {
    asked.push(host);
    return new Promise((resolve) => answers.set(host, () => resolve([`of ${host}`])));
  });
  const all = ['a', 'b', 'c', 'a', 'b', 'c'].map((host) => lookup.addresses(host));
  expect(asked).toEqual(['a', 'b']);
  answers.get('b')?.();
  await until('the next one is asked for', () => asked.length === 3);
  answers.get('a')?.();
  answers.get('c')?.();
  expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'a', 'b', 'c'].map((host) => [`of ${host}`]));
  expect(asked).toEqual(['a', 'b', 'c']);
  expect(await lookup.addresses('fd00::1')).toEqual(['fd00::1']);
});

test('an endpoint that refuses is dialled every half second', async () => {
  const waitsMs: number[] = [];
  const limits = new Set([ETCD_ADDRESS_DELAY_MS, ETCD_CONNECT_TIMEOUT_MS, ETCD_REDIAL_MS]);
  const clock: Clock = {
    ...systemClock,
    monotonicMs: () => waitsMs.reduce((sum, ms) => sum + ms, 0),
    sleep: async (ms, signal) => {
      await systemClock.sleep(limits.has(ms) ? ms : 1, signal);
      if (!limits.has(ms)) waitsMs.push(ms);
    },
  };
  const client = connect(`http://127.0.0.1:${await freePort()}`, { pacing: new DialPacing(clock) });
  await client.get(keyOf('a'), soon()).catch(() => undefined);
  await until('it has been dialled a few times', () => waitsMs.length >= 14);
  client.close();
  expect(waitsMs[0]).toBe(0);
  for (const ms of waitsMs.slice(8)) {
    expect(ms).toBeGreaterThanOrEqual(ETCD_REDIAL_MAX_MS / 2);
    expect(ms).toBeLessThanOrEqual(ETCD_REDIAL_MAX_MS);
  }
});

test('however many endpoints are away, attempts stay at thirty a second and each has its turn', () => {
  for (const away of [1, 12, 50, 511]) {
    const pacing = new DialPacing();
    const dueMs = Array.from({ length: away }, (_, at) => at);
    const attempts = new Map<number, number>();
    const counts = dueMs.map(() => 0);
    for (;;) {
      const at = dueMs.indexOf(Math.min(...dueMs));
      const nowMs = dueMs[at] ?? 0;
      if (nowMs >= 60_000) break;
      const second = Math.floor(nowMs / 1000);
      attempts.set(second, (attempts.get(second) ?? 0) + 1);
      counts[at] = (counts[at] ?? 0) + 1;
      dueMs[at] = pacing.place(nowMs + ETCD_REDIAL_MAX_MS);
    }
    // The first one of each comes at once.
    const later = [...attempts].flatMap(([second, count]) => (second === 0 ? [] : [count]));
    expect(Math.max(...later)).toBeLessThanOrEqual(46);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor(Math.min(120, (60 * 30) / away)) - 1);
  }
});

test('a large answer over a slow link is no silence', async () => {
  const proxy = await proxyForTest(etcd.port);
  await putMany(connect(etcd.endpoint), 'slow/', 300, 10, 2_000);
  const changes: boolean[] = [];
  const client = connect(proxy.endpoint, {
    keepalive: FAST_KEEPALIVE,
    onStateChange: ({ connected }) => changes.push(connected),
  });
  await put(client, 'other/a');
  proxy.throttle(200_000);
  expect(await listAll(client, 'slow/')).toHaveLength(300);
  expect(changes).toEqual([true]);
});

test('a silent connection is replaced by a new one, on which a watch continues', async () => {
  const open = new Set<Socket>();
  const middlebox = createServer((socket) => {
    const onward = dial(etcd.port, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    open.add(socket);
    for (const end of [socket, onward]) end.on('error', () => undefined);
    socket.on('close', () => onward.destroy());
    onward.on('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => middlebox.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    middlebox.close();
    for (const socket of open) socket.destroy();
  });
  const address = middlebox.address();
  const client = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, { keepalive: FAST_KEEPALIVE });
  const watch = record(client, 'replaced/', 1);
  await put(client, 'replaced/a');
  await seen(watch, 1);
  for (const socket of open) {
    socket.unpipe();
    socket.resume();
  }
  await put(connect(etcd.endpoint), 'replaced/b');
  await seen(watch, 2);
  await until('the silent one is closed', () => open.size === 1);
});
