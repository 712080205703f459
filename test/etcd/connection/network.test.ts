import { createServer, connect as dial, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { DeadlineError, NoLeaderError, UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { ETCD_CALL_TIMEOUT_MS, ETCD_DIAL_TIMEOUT_MS } from '../../../src/shared/limits.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { connect, revisionOf, soon } from '../../support/etcd/etcd-client.ts';
import {
  etcdForTest,
  FAST_KEEPALIVE,
  FAST_PINGS,
  proxyForTest,
  put,
  putMany,
  record,
  seen,
} from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, startEtcd } from '../../support/etcd/etcd-process.ts';
import { freePort } from '../../support/network/free-port.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';

let etcd: EtcdProcess;
beforeAll(async () => {
  etcd = await startEtcd({ args: FAST_PINGS });
});
afterAll(() => etcd.stop());

const first = () => 0;

test('a call to a closed port fails immediately with the reason, before its deadline', async () => {
  const port = await freePort();
  const client = connect(`http://127.0.0.1:${port}`);
  await expect(client.get(keyOf('a'), soon())).rejects.toThrow(new UnavailableError(`connect ECONNREFUSED 127.0.0.1:${port}`));
  expect(client.state).toMatchObject({ connected: false, lastError: { code: 'ETCD_UNAVAILABLE', retriable: true } });
});

test('a name that does not resolve is reported as such', async () => {
  await expect(connect('http://no-such-host.invalid:2379').get(keyOf('a'), soon())).rejects.toThrow(/no-such-host\.invalid/);
});

test('a call that is not answered fails by its deadline, although the connection stands', async () => {
  const proxy = await proxyForTest(etcd.port);
  const client = connect(proxy.endpoint);
  await put(client, 'a');
  proxy.blackHole('toClient');
  await expect(client.get(keyOf('a'), { ...soon(), timeoutMs: 100 })).rejects.toThrow(DeadlineError);
  expect(client.state).toMatchObject({ connected: false, lastError: { code: 'ETCD_DEADLINE' } });
  await proxy.heal();
  await until('the etcd answers again', () => client.get(keyOf('a'), soon()));
  expect(client.state.connected).toBe(true);
});

test('with two endpoints a call that failed goes to the other one next, and back when that one fails', async () => {
  const [one, two] = [await proxyForTest(etcd.port), await proxyForTest(etcd.port)];
  const client = connect([one.endpoint, two.endpoint], { random: first });
  await put(client, 'over/a');
  expect([one.accepted, two.accepted]).toEqual([1, 0]);
  await one.disconnect();
  await put(client, 'over/b').catch(() => put(client, 'over/b'));
  expect([one.accepted, two.accepted]).toEqual([1, 1]);
  await one.heal();
  await two.disconnect();
  await until('the first one is used again', () => put(client, 'over/c'));
  expect(one.accepted).toBe(2);
});

test('with two endpoints a watch loses nothing while they take turns in failing', async () => {
  const [one, two] = [await proxyForTest(etcd.port), await proxyForTest(etcd.port)];
  const direct = connect(etcd.endpoint);
  const from = (await revisionOf(direct)) + 1;
  const watch = record(connect([one.endpoint, two.endpoint], { keepalive: FAST_KEEPALIVE }), 'turns/', from);
  const written: string[] = [];
  for (const [round, proxy] of [one, two, one, two].entries()) {
    written.push(...(await putMany(direct, `turns/${round}/`, 200, 20)));
    if (round % 2 === 0) {
      await proxy.disconnect();
    } else proxy.blackHole();
    written.push(...(await putMany(direct, `turns/${round}x/`, 200, 20)));
    await seen(watch, written.length);
    await proxy.heal();
  }
  expect(watch.events.map(({ key }) => key)).toEqual(written);
});

test('fault 16: a member without a leader is left for one that has one', async () => {
  const lonely = await lonelyMember();
  const alone = connect(lonely.endpoint);
  await until('the member says so', async () => {
    const error = await alone.get(keyOf('a'), soon()).catch((thrown: unknown) => thrown);
    return error instanceof NoLeaderError;
  });
  const client = connect([lonely.endpoint, etcd.endpoint], { random: first });
  const watch = record(client, 'leader/', 1);
  await until('the other one answers', () => put(client, 'leader/a'), { withinMs: 45_000 });
  await seen(watch, 1);
});

test('a connection that comes back ends a wait, however long it is', async () => {
  const proxy = await proxyForTest(etcd.port);
  const direct = connect(etcd.endpoint);
  let waits = 0;
  const slow: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      if (ms === ETCD_CALL_TIMEOUT_MS || ms === ETCD_DIAL_TIMEOUT_MS) return systemClock.sleep(ms, signal);
      waits += 1;
      return systemClock.sleep(waits === 1 ? 1 : 3_600_000, signal);
    },
  };
  const from = (await revisionOf(direct)) + 1;
  const watch = record(connect(proxy.endpoint, { clock: slow }), 'wake/', from);
  await put(direct, 'wake/a');
  await seen(watch, 1);
  await proxy.disconnect();
  await until('the watch waits for an hour', () => waits === 2);
  await put(direct, 'wake/b');
  await proxy.heal();
  await seen(watch, 2);
});

test('a returning connection is reported once to all listeners', async () => {
  const proxy = await proxyForTest(etcd.port);
  const direct = connect(etcd.endpoint);
  const { log, lines } = recordingLogger();
  const client = connect(proxy.endpoint, { log });
  const from = (await revisionOf(direct)) + 1;
  const watches = ['back/', 'back/a', 'back/b'].map((prefix) => record(client, prefix, from));
  await until('the client is connected', () => client.state.connected);
  await proxy.disconnect();
  await until('the loss is noticed', () => !client.state.connected);
  await putMany(direct, 'back/a', 5);
  await putMany(direct, 'back/b', 5);
  await proxy.heal();
  for (const [at, watch] of watches.entries()) await seen(watch, at === 0 ? 10 : 5);
  expect(lines.map(({ msg }) => msg)).toEqual(['etcd connected', 'etcd connection lost', 'etcd connected']);
});

test('an attempt to a host that accepts connections and never responds times out, and uses one socket at a time', async () => {
  const sockets = new Set<Socket>();
  const mute = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    mute.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = mute.address();
  const client = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await expect(client.get(keyOf('a'), { ...soon(), timeoutMs: 50 })).rejects.toThrow(DeadlineError);
  }
  await until('all sockets but one are closed', () => sockets.size <= 1);
  client.close();
  await until('all sockets are closed', () => sockets.size === 0);
});

test('after an outage, an attempt to a host that accepts connections and never responds times out as well', async () => {
  const port = await freePort();
  const impatient: Clock = {
    ...systemClock,
    sleep: (ms, signal) => systemClock.sleep(ms === ETCD_DIAL_TIMEOUT_MS ? 500 : ms, signal),
  };
  const client = connect(`http://127.0.0.1:${port}`, { clock: impatient });
  await expect(client.get(keyOf('a'), soon())).rejects.toThrow(UnavailableError);
  let accepted = 0;
  const middlebox = createServer((socket) => {
    accepted += 1;
    socket.on('error', () => undefined);
    if (accepted === 1) return;
    const onward = dial(etcd.port, '127.0.0.1').on('error', () => undefined);
    socket.pipe(onward).pipe(socket);
    socket.on('close', () => onward.destroy());
  });
  await new Promise<void>((resolve) => middlebox.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => void middlebox.close());
  await until('a later connection is of use', () => put(client, 'middlebox/a'), { withinMs: 45_000 });
  expect(accepted).toBeGreaterThanOrEqual(2);
});

test('fault 12: thirty connections that were cut leave nothing behind', async () => {
  const own = await etcdForTest();
  const proxy = await proxyForTest(own.port);
  const client = connect(proxy.endpoint);
  const watch = record(client, 'k/', 1);
  const count = (kind: string) => process.getActiveResourcesInfo().filter((each) => each === kind).length;
  await put(client, 'k/0');
  await seen(watch, 1);
  const before = { sockets: count('TCPSocketWrap'), timers: count('Timeout') };
  for (let round = 1; round <= 30; round += 1) {
    proxy.cut();
    await until('the etcd takes writes again', () => put(client, `k/${round}`));
    await seen(watch, round + 1);
  }
  await until(
    'no more than before is left',
    () => count('TCPSocketWrap') <= before.sockets && count('Timeout') <= before.timers + 1,
    {
      status: () => ({ before, sockets: count('TCPSocketWrap'), timers: count('Timeout') }),
    },
  );
  expect(proxy.connections).toBe(1);
});

test('fault 14: latency and short stalls are no loss of the connection', async () => {
  const own = await etcdForTest({ args: FAST_PINGS });
  const proxy = await proxyForTest(own.port);
  const changes: boolean[] = [];
  const client = connect(proxy.endpoint, {
    keepalive: { timeMs: 300, timeoutMs: 3000 },
    onStateChange: ({ connected }) => changes.push(connected),
  });
  proxy.delay(250);
  const watch = record(client, 'k/', 1);
  await Promise.all(Array.from({ length: 20 }, (_, at) => put(client, `k/${at}`)));
  await seen(watch, 20);
  expect(changes).toEqual([true]);
});

/** One of two members of a cluster, the other one of which has died. */
async function lonelyMember(): Promise<EtcdProcess> {
  const [a, b] = [await freePort(), await freePort()];
  const start = (name: string, port: number) => {
    const peer = `http://127.0.0.1:${port}`;
    return etcdForTest({
      clusterToken: `two-${a}`,
      args: [
        `--name=${name}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=a=http://127.0.0.1:${a},b=http://127.0.0.1:${b}`,
      ],
    });
  };
  const [member, other] = await Promise.all([start('a', a), start('b', b)]);
  await other.kill();
  return member;
}
