import { describe, expect, test } from 'vitest';
import { CacheTtl, WithdrawalBrake } from '../../../src/kvstoremesh/removal/cache-ttl.ts';
import { ManualClock } from '../../support/clocks.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

/** The caches of `clusters` remotes, and what becomes of them. */
function caches(ttlMs: number, clusters = 1) {
  const clock = new ManualClock();
  const brake = new WithdrawalBrake(() => clusters);
  const withdrawn: string[] = [];
  const held: string[] = [];
  const all = Array.from({ length: clusters }, (_, index) => {
    const cluster = `remote-${index}`;
    const [onExpired, onHeld] = [() => withdrawn.push(cluster), () => held.push(cluster)];
    return new CacheTtl({ cluster, ttlMs, brake, clock, onExpired, onHeld });
  });
  const [first] = all;
  if (first === undefined) throw new Error('no cluster');
  return { clock, all, first, withdrawn, held };
}

describe('the time a remote may be away', () => {
  test('runs from the first start, and once only', async () => {
    const { clock, first, withdrawn } = caches(20_000);
    first.start();
    await clock.advance(15_000);
    first.start();
    await clock.advance(5_000);
    expect(withdrawn.length).toBe(1);
    first.start();
    await clock.advance(60_000);
    expect([withdrawn.length, first.revocations]).toEqual([1, 1]);
    first.stop();
    first.start();
    await clock.advance(20_000);
    expect(first.revocations).toBe(2);
  });

  test('rule 67: does not run out when the remote is back before, nor where there is none', async () => {
    const { clock, first, withdrawn } = caches(20_000);
    first.start();
    await clock.advance(19_999);
    first.stop();
    await clock.advance(60_000);
    expect([withdrawn.length, clock.sleeping]).toEqual([0, 0]);
    const none = caches(0);
    none.first.start();
    await none.clock.advance(3_600_000);
    expect(none.withdrawn).toEqual([]);
  });

  test('withdraws nothing while most remotes are away, and what is due once enough of them are back', async () => {
    const { clock, all, withdrawn, held } = caches(20_000, 5);
    for (const each of all.slice(0, 4)) each.start();
    await clock.advance(600_000);
    expect([withdrawn, held.length]).toEqual([[], 4]);
    expect(all.map(({ isHeld }) => isHeld)).toEqual([true, true, true, true, false]);
    all[3]?.stop();
    await clock.advance(60_000);
    expect(withdrawn).toEqual([]);
    all[2]?.stop();
    await clock.advance(60_000);
    expect(withdrawn).toEqual(['remote-0', 'remote-1']);
    expect(all.map(({ isHeld, revocations }) => [isHeld, revocations])).toEqual([
      [false, 1],
      [false, 1],
      [false, 0],
      [false, 0],
      [false, 0],
    ]);
    expect(held.length).toBe(4);
  });

  test('holds of a single remote, and of a minority, as if there were no brake', async () => {
    const single = caches(20_000);
    single.first.start();
    await single.clock.advance(20_000);
    expect(single.withdrawn).toEqual(['remote-0']);
    const pair = caches(20_000, 2);
    pair.first.start();
    await pair.clock.advance(20_000);
    expect(pair.withdrawn).toEqual(['remote-0']);
    pair.all[1]?.start();
    await pair.clock.advance(600_000);
    expect(pair.withdrawn).toEqual(['remote-0']);
  });
});

describe.skipIf(etcdVersions().length === 0)('with a time to keep caches', () => {
  test('remotes that are cut off together keep their services, until only a minority is away', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using lima = await startFullRemote('lima', 9);
    const remotes = [berlin, oslo, lima];
    await using mesh = new Mesh(local, { cacheTtlMs: 300, silenceMs: 300 });
    for (const remote of remotes) mesh.add(remote);
    for (const { name } of remotes) await mesh.synced(name);
    for (const { proxy } of remotes) proxy.blackHole();
    for (const { name } of remotes) {
      await mesh.until('its withdrawal is held', name, () => mesh.find(name)?.isWithdrawalHeld);
    }
    const all = Object.assign({}, ...remotes.map((remote) => remote.keys('1', 'cache')));
    await mesh.holds(all);
    await oslo.proxy.heal();
    await lima.proxy.heal();
    await mesh.until('the services of the one are withdrawn', 'berlin', () => mesh.find('berlin')?.revocations);
    const kept = Object.entries(all).filter(([key]) => !/\/(services|endpointslices|serviceexports)\/v1\/berlin\//.test(key));
    await mesh.holds(Object.fromEntries(kept) as Record<string, string>);
  });

  test('services that an earlier run mirrored are withdrawn too, and come back with the remote', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const first = new Mesh(local);
    first.add(berlin);
    await first.synced('berlin');
    await first.stop();
    const all = berlin.keys('1', 'cache');
    berlin.proxy.blackHole();
    await using mesh = new Mesh(local, { cacheTtlMs: 300, silenceMs: 300 });
    mesh.add(berlin);
    const kept = Object.entries(all).filter(([key]) => !/\/(services|endpointslices|serviceexports)\/v1\//.test(key));
    const synced = await local.dump('cilium/synced/');
    await mesh.holds(Object.fromEntries(kept));
    expect(mesh.find('berlin')?.revocations).toBe(1);
    expect(await local.dump('cilium/synced/')).toEqual(synced);
    expect(await local.dump('cilium/cluster-config/')).toHaveProperty('cilium/cluster-config/berlin');
    await berlin.proxy.heal();
    await mesh.holds(all);
  });

  test('what an earlier run had not announced as complete is not announced by its withdrawal', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await local.put(berlin.keys('1', 'cache'));
    berlin.proxy.blackHole();
    await using mesh = new Mesh(local, { cacheTtlMs: 300, silenceMs: 300 });
    mesh.add(berlin);
    await until('the services are withdrawn', async () => Object.keys(await local.dump('cilium/cache/')).length === 3);
    expect(await local.dump('cilium/synced/')).toEqual({});
    expect(mesh.find('berlin')?.isSynced).toBe(false);
  });
});
