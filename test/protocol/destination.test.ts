/** Rules 50 to 62: the local etcd loses leases, keys, space or itself, and what protects it. */

import { describe, expect, test, vi } from 'vitest';
import { openLocalEtcd } from '../../src/shared/etcd/local-etcd.ts';
import { EtcdMetrics } from '../../src/shared/etcd/metrics.ts';
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { parseKvstoreOptions } from '../../src/shared/flags/kvstore-options.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { ManualClock } from '../support/clocks.ts';
import { soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { Mesh, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { ALL_KINDS, canaries, changesSince, leased } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const CONFIG = 'cilium/cluster-config/berlin';
const CONFIG_VALUE =
  '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":true,"endpointSlicesExportMode":"services-and-endpointslices"}}';
const nodes = (from: number, count: number, value = 'x') =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`cilium/state/nodes/v1/berlin/n${from + index}`, value]));

describe.skipIf(etcdVersions().length === 0).concurrent('in the local etcd', () => {
  test('rule 50: the keys of a revoked lease are written immediately on another, the cluster config and canaries too', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const wanted = Object.keys(await local.dump('cilium/')).sort();
    expect(wanted.length).toBe(13);
    const lost = new Set((await leased(local.client)).map(({ lease }) => lease));
    for (const lease of lost) await local.client.revokeLease(lease, soon());
    await until(
      'all is back',
      async () => JSON.stringify(Object.keys(await local.dump('cilium/')).sort()) === JSON.stringify(wanted),
    );
    const again = await leased(local.client);
    expect(again.filter(({ lease }) => lease === NO_LEASE || lost.has(lease))).toEqual([]);
    await mesh.holds(berlin.keys('1', 'cache'));
  });

  test('rule 51: a lease carries a thousand keys at most, and places that are freed are used again', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    for (let at = 0; at < 2_500; at += 100) await berlin.put(nodes(at, 100));
    await using _mesh = await Mesh.mirroring(local, [berlin]);
    const counts = async () => {
      const byLease = Map.groupBy(await leased(local.client), ({ lease }) => lease);
      return new Map([...byLease].map(([lease, keys]) => [lease, keys.length]));
    };
    const before = await counts();
    expect(before.has(NO_LEASE)).toBe(false);
    expect(Math.max(...before.values())).toBeLessThanOrEqual(1_000);
    expect(before.size).toBe(3);
    for (let at = 0; at < 1_000; at += 100) await berlin.delete(...Object.keys(nodes(at, 100)));
    await until('they are gone', async () => Object.keys(await local.dump('cilium/cache/nodes/')).length === 1_500);
    for (let at = 3_000; at < 4_000; at += 100) await berlin.put(nodes(at, 100));
    await until('others are there', async () => Object.keys(await local.dump('cilium/cache/nodes/')).length === 2_500);
    const after = await counts();
    expect([...after.keys()].every((lease) => before.has(lease))).toBe(true);
    expect(Math.max(...after.values())).toBeLessThanOrEqual(1_000);
  });

  test('rule 55: a foreign key goes with the first listing where the remote does not have it, and with the drain in any case', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await local.put({ 'cilium/cache/nodes/v1/berlin/foreign': 'x' });
    await using mesh = await Mesh.mirroring(local, [berlin]);
    await mesh.holds(berlin.keys('1', 'cache'));
    await local.put({ 'cilium/cache/nodes/v1/berlin/foreign': 'x', 'cilium/cache/identities/v1/berlin/value/x': 'x' });
    mesh.remove('berlin');
    await mesh.holds({});
  });

  test('rules 56, 57: a key, canary or cluster config that is removed externally is restored, a cluster config also when overwritten', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using _mesh = await Mesh.mirroring(local, [berlin]);
    const node = 'cilium/cache/nodes/v1/berlin/node-1';
    const canary = 'cilium/synced/berlin/cilium/cache/ip/v1';
    await local.delete(node, canary, CONFIG);
    await until('all are back', async () => {
      const all = await local.dump();
      return all[node] === 'node 1' && canary in all && all[CONFIG] === CONFIG_VALUE;
    });
    await local.put({ [CONFIG]: '{"id":9}' });
    await until('the value is back', async () => (await local.dump())[CONFIG] === CONFIG_VALUE);
    // What only an audit would find is mended by the next change at the remote at the latest.
    await local.put({ [node]: 'tampered' });
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': 'changed' });
    await until('the change is there', async () => (await local.dump())[node] === 'changed');
  });

  test('rule 60: a value that etcd refuses for its size is counted and holds up nothing else, and comes once it fits', async () => {
    await using local = await startLocal({ args: ['--max-request-bytes=131072'] });
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.put(nodes(0, 50));
    await berlin.put({ 'cilium/state/nodes/v1/berlin/big': 'x'.repeat(300_000) });
    await using mesh = await Mesh.mirroring(local, [berlin]);
    expect(await canaries(local, 'berlin')).toEqual(ALL_KINDS);
    expect(Object.keys(await local.dump('cilium/cache/nodes/')).length).toBe(51);
    const rejected = await mesh.registry.getSingleMetric('test_publisher_rejected_keys_total')?.get();
    const counted = rejected?.values.find(({ labels }) => labels.reason === 'value_too_large' && labels.scope === 'nodes/v1');
    expect(counted?.value).toBe(1);
    await berlin.put({ 'cilium/state/nodes/v1/berlin/big': 'small' });
    await until('it is there', async () => (await local.dump())['cilium/cache/nodes/v1/berlin/big'] === 'small');
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('the daemon', () => {
  test('rule 52: outlives a local etcd that is away for longer than its lock, and catches up with the remote', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    await using daemon = await KvstoremeshRun.start(local, directory, { lockTtlSeconds: 2 });
    await daemon.ready();
    const [lock] = await leased(local.client, 'cilium/kvstoremesh-lock/');
    await local.process.kill();
    const away = performance.now();
    await berlin.fill('2');
    await berlin.delete('cilium/state/nodes/v1/berlin/node-1');
    await berlin.put({ 'cilium/state/services/v1/berlin/shop/1': 'changed' });
    await until('the lock has ended', () => performance.now() - away > 4_000);
    await local.process.restart();
    const expected: Record<string, string> = { ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') };
    delete expected['cilium/cache/nodes/v1/berlin/node-1'];
    expected['cilium/cache/services/v1/berlin/shop/1'] = 'changed';
    const wanted = JSON.stringify(Object.entries(expected).sort());
    const held = async () => JSON.stringify(Object.entries(await local.dump('cilium/cache/')).sort());
    await until('it has caught up', async () => (await held()) === wanted, { withinMs: 45_000 });
    expect(daemon.isRunning).toBe(true);
    expect(lock).toBeDefined();
  });

  test('rule 62: writes every key on a lease that lives', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    await using daemon = await KvstoremeshRun.start(local, directory, { flags: ['--enable-heartbeat'] });
    await daemon.ready();
    await berlin.fill('2');
    await until('it is mirrored', async () => Object.keys(await local.dump('cilium/cache/')).length === 12);
    const puts = (await changesSince(local, 0)).flatMap((event) => (event.type === 'put' ? [event] : []));
    expect(puts.length).toBeGreaterThanOrEqual(20);
    expect(puts.filter(({ lease }) => lease === NO_LEASE)).toEqual([]);
    const locks = await leased(local.client, 'cilium/kvstoremesh-lock/');
    expect(locks.length).toBe(1);
    for (const lease of new Set([...puts, ...locks].map((each) => each.lease))) {
      expect((await local.client.leaseTimeToLive(lease, soon()))?.ttl).toBeGreaterThan(0);
    }
  });

  test('rule 61: queries the local etcd at the rate of the first load until that is over, then at the ordinary one', async () => {
    await using local = await startLocal();
    const options = parseKvstoreOptions(
      new Map([
        ['etcd.address', local.process.endpoint],
        ['etcd.qps', '1'],
        ['etcd.bootstrapQps', '100'],
      ]),
    );
    const clock = new ManualClock();
    const { client, endBootstrap } = await openLocalEtcd(
      options,
      { clock, log: silentLogger, metrics: new EtcdMetrics(new Registry('test_')) },
      new AbortController().signal,
    );
    let answered = 0;
    const ask = async () => {
      await client.get(keyOf('cilium/x'), { signal: AbortSignal.timeout(60_000) });
      answered += 1;
    };
    await Promise.all(Array.from({ length: 90 }, ask));
    endBootstrap();
    const later = Array.from({ length: 5 }, ask);
    for (const expected of [91, 92, 93, 94, 95]) {
      await until(`${expected} are answered`, () => answered === expected);
      await clock.advance(999);
      expect(answered).toBe(expected);
      await clock.advance(1);
    }
    await Promise.all(later);
    client.close();
  });
});
