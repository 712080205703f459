import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { type EtcdClient, keyOf, type LeaseId, type LeaseTimeToLive } from '../../../src/shared/etcd/types.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { connect, soon } from '../../support/etcd/etcd-client.ts';
import { etcdForTest, FAST_KEEPALIVE, FAST_PINGS } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { startTcpProxy, type TcpProxy } from '../../support/network/tcp-proxy.ts';
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

  test('a kept lease outlives its duration, one that is not kept any more does not', async () => {
    const client = connect(etcd.endpoint);
    const [kept, stopped] = [await client.grantLease(2, soon()), await client.grantLease(2, soon())];
    client.keepLease(kept, 2, () => expect.fail('the lease is kept'));
    client.keepLease(stopped, 2, () => expect.fail('no caller waits for it any more'))();
    await until('the other lease has expired', async () => (await client.leaseTimeToLive(stopped, soon())) === undefined);
    expect((await client.leaseTimeToLive(kept, soon()))?.ttl).toBeGreaterThanOrEqual(0);
  });

  test('a lease of an earlier process is kept by its ID', async () => {
    const earlier = connect(etcd.endpoint);
    const lease = await earlier.grantLease(60, soon());
    earlier.close();
    const client = connect(etcd.endpoint);
    await until('a second has passed for the lease', async () => ((await client.leaseTimeToLive(lease, soon()))?.ttl ?? 60) < 59);
    client.keepLease(lease, 60, () => expect.fail('the lease exists'));
    await until('the lease is as good as new', async () => ((await client.leaseTimeToLive(lease, soon()))?.ttl ?? 0) >= 59);
  });

  test('a revoked lease is reported once, and the others are kept', async () => {
    const client = connect(etcd.endpoint);
    const lost: LeaseId[] = [];
    const leases = await keepSome(client, 3, 3, lost);
    await client.revokeLease(leases[1] ?? expect.fail(), soon());
    await until('the loss is reported', () => lost.length > 0);
    expect((await client.leaseTimeToLive(leases[0] ?? expect.fail(), soon()))?.ttl).toBeGreaterThanOrEqual(0);
    expect(lost).toEqual([leases[1]]);
  });

  test('a lease that never existed is reported at once', async () => {
    const lost: LeaseId[] = [];
    connect(etcd.endpoint).keepLease(4711n as LeaseId, 3600, () => lost.push(4711n as LeaseId));
    await until('the loss is reported', () => lost.length === 1);
  });

  test('all owners of a lease are notified of its loss', async () => {
    const client = connect(etcd.endpoint);
    const told: string[] = [];
    const lease = await client.grantLease(3, soon());
    client.keepLease(lease, 3, () => told.push('a'));
    client.keepLease(lease, 3, () => told.push('b'));
    client.keepLease(lease, 3, () => told.push('c'))();
    await client.revokeLease(lease, soon());
    await until('the loss is reported', () => told.length > 0);
    expect(told).toEqual(['a', 'b']);
  });

  test('a cut loses no lease, however often', async () => {
    const client = connect(proxy.endpoint);
    const lost: LeaseId[] = [];
    const leases = await keepSome(client, 5, 3, lost);
    for (let round = 0; round < 5; round += 1) {
      const { accepted } = proxy;
      proxy.cut();
      await until('there is another connection', () => proxy.accepted > accepted);
    }
    for (const lease of leases) expect(await timeToLive(client, lease)).toBeDefined();
    expect(lost).toEqual([]);
  });

  test('fault 18: leases that expired while the server was away are reported once each', async () => {
    const direct = connect(etcd.endpoint);
    const client = connect(proxy.endpoint, { keepalive: FAST_KEEPALIVE, clock: hurriedClock(300) });
    const lost: LeaseId[] = [];
    const leases = await keepSome(client, 3, 2, lost);
    proxy.blackHole();
    await until('the server has dropped the leases', async () => {
      for (const lease of leases) if ((await direct.leaseTimeToLive(lease, soon())) !== undefined) return false;
      return true;
    });
    expect(lost).toEqual([]);
    await proxy.heal();
    await until('the losses are reported', () => lost.length >= 3);
    expect(new Set(lost)).toEqual(new Set(leases));
    expect(lost.length).toBe(3);
  });

  test('fault 18: a lease that outlasts a silence longer than itself on our side is not lost: the server decides', async () => {
    const own = await etcdForTest({ version, args: FAST_PINGS });
    const client = connect(own.endpoint, { keepalive: FAST_KEEPALIVE, clock: hurriedClock(300) });
    const lost: LeaseId[] = [];
    const [lease = expect.fail()] = await keepSome(client, 1, 2, lost);
    // A server that stands still does not count the time of its leases as passed at once: it extends them when it leads again.
    await own.kill();
    await until('the loss of the connection is noticed', () => !client.state.connected);
    await own.restart();
    await until('the lease is kept again', async () => (await client.leaseTimeToLive(lease, soon()))?.ttl !== undefined, {
      withinMs: 45_000,
    });
    expect(lost).toEqual([]);
  });

  test('fault 17: a wall clock that jumps by an hour and back changes nothing', async () => {
    let wallMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => Date.now() + wallMs };
    const client = connect(proxy.endpoint, { clock });
    const lost: LeaseId[] = [];
    const [lease = expect.fail()] = await keepSome(client, 1, 5, lost);
    for (const jumpMs of [3_600_000, -3_600_000]) {
      wallMs = jumpMs;
      const { accepted } = proxy;
      proxy.cut();
      await until('there is another connection', () => proxy.accepted > accepted);
      const before = proxy.bytes.toClient;
      await until('the lease is refreshed', () => proxy.bytes.toClient > before);
    }
    expect(await timeToLive(client, lease)).toBeDefined();
    expect(lost).toEqual([]);
  });

  test('hundreds of leases are kept over one stream', async () => {
    const own = await etcdForTest({ version });
    const client = connect(own.endpoint);
    const lost: LeaseId[] = [];
    const leases = await Promise.all(Array.from({ length: 300 }, () => client.grantLease(60, soon())));
    const ages = async () => Promise.all(leases.map(async (lease) => (await client.leaseTimeToLive(lease, soon()))?.ttl ?? -1));
    await until('time has passed for all leases', async () => (await ages()).every((ttl) => ttl < 59));
    for (const lease of leases) client.keepLease(lease, 60, () => lost.push(lease));
    await until('all leases are as good as new', async () => (await ages()).every((ttl) => ttl >= 58));
    expect(lost).toEqual([]);
    const metrics = await (await fetch(`${own.metricsEndpoint}/metrics`)).text();
    expect(/^grpc_server_started_total\{.*grpc_method="LeaseKeepAlive".*\} (\d+)$/m.exec(metrics)?.[1]).toBe('1');
  });

  test('a key is deleted with its lease, and the watch delivers that', async () => {
    const client = connect(etcd.endpoint);
    const lease = await client.grantLease(60, soon());
    const from = await client.txn([{ type: 'put', key: keyOf('leased/a'), value: Buffer.from('v'), lease }], soon());
    await client.revokeLease(lease, soon());
    for await (const batch of client.watch(keyOf('leased/'), { ...soon(), from })) {
      if (batch.kind !== 'events') continue;
      expect(batch.events.map((event) => [event.type, event.type === 'put' ? event.lease : undefined])).toEqual([
        ['put', lease],
        ['delete', undefined],
      ]);
      break;
    }
  });
});

async function keepSome(client: EtcdClient, count: number, ttlSeconds: number, lost: LeaseId[]): Promise<LeaseId[]> {
  const leases = await Promise.all(Array.from({ length: count }, () => client.grantLease(ttlSeconds, soon())));
  for (const lease of leases) client.keepLease(lease, ttlSeconds, () => lost.push(lease));
  return leases;
}

/** As soon as the connection that was just cut has returned. */
async function timeToLive(client: EtcdClient, lease: LeaseId): Promise<LeaseTimeToLive | undefined> {
  let answer: LeaseTimeToLive | undefined;
  const ask = () =>
    client.leaseTimeToLive(lease, soon()).then(
      (found) => {
        answer = found;
        return true;
      },
      (thrown: unknown) => {
        if (thrown instanceof UnavailableError) return false;
        throw thrown;
      },
    );
  await until('etcd answers', ask);
  return answer;
}
