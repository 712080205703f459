/** Rules 31 and 63 to 68: removed keys of a remote that is removed, or unreachable for too long. */

import { describe, expect, test, vi } from 'vitest';
import { DRAIN_GRACE_MS } from '../../src/kvstoremesh/removal/drain.ts';
import { ManualClock } from '../support/clocks.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { changesSince, untilLater } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const CONFIG = 'cilium/cluster-config/berlin';

describe.skipIf(etcdVersions().length === 0).concurrent('a remote that is removed', () => {
  test('rule 31: and added again within the grace is neither listed nor drained before its end, and comes back after that', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock, graceMs: DRAIN_GRACE_MS });
    mesh.remove('berlin');
    mesh.add(berlin);
    await until('the cluster config is gone', async () => !(CONFIG in (await local.dump())));
    await clock.advance(DRAIN_GRACE_MS - 1);
    const since = await local.revision();
    expect(mesh.remotes.all).toEqual([]);
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(6);
    await clock.advance(1);
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
    const events = await changesSince(local, since);
    for (const key of Object.keys(berlin.keys('1', 'cache'))) {
      const [gone, ...back] = events.filter((event) => event.key === key).map(({ type }) => type);
      expect([gone, back.at(-1)]).toEqual(['delete', 'put']);
    }
    expect(CONFIG in (await local.dump())).toBe(true);
  });

  test('rule 63: loses its cluster config, after three minutes its canaries, then its keys in the order of the original, and no other remote loses any', async () => {
    expect(DRAIN_GRACE_MS).toBe(180_000);
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    const foreign = {
      'cilium/cache/nodes/v1/berlin2/x': 'x',
      'cilium/synced/berlin2/x': 'x',
      'cilium/cluster-config/berlin2': '{}',
    };
    await local.put(foreign);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { clock, graceMs: DRAIN_GRACE_MS });
    const since = await local.revision();
    mesh.remove('berlin');
    await until('the cluster config is gone', async () => !(CONFIG in (await local.dump())));
    await clock.advance(DRAIN_GRACE_MS - 1);
    expect((await changesSince(local, since)).map(({ type, key }) => [type, key])).toEqual([['delete', CONFIG]]);
    await clock.advance(1);
    await mesh.holds({ ...oslo.keys('1', 'cache'), 'cilium/cache/nodes/v1/berlin2/x': 'x' });
    const events = await changesSince(local, since);
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['delete']));
    expect(events.every(({ key }) => key.includes('/berlin/') || key === CONFIG)).toBe(true);
    const kinds = events.map(({ key }) => (key.startsWith('cilium/cache/') ? key.split('/')[2] : key.split('/')[1]));
    const order = ['cluster-config', 'synced', 'endpointslices', 'ip', 'identities', 'nodes', 'serviceexports', 'services'];
    expect([...new Set(kinds)]).toEqual(order);
  });

  test('rule 64: while the local etcd fails is drained as soon as that is back, without a second grace', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock, graceMs: DRAIN_GRACE_MS });
    mesh.remove('berlin');
    await until('the cluster config is gone', async () => !(CONFIG in (await local.dump())));
    await local.process.kill();
    await clock.advance(DRAIN_GRACE_MS);
    // Each failed attempt is followed by a longer wait, which nothing but the clock ends.
    for (const waitMs of [2_000, 4_000, 8_000]) {
      await until('an attempt has failed', () => clock.sleeping >= 1);
      await clock.advance(waitMs);
    }
    await local.process.restart();
    const before = clock.monotonicMs();
    const isEmpty = async () => Object.keys(await local.dump('cilium/')).length === 0;
    await untilLater(clock, 'all is gone', isEmpty);
    expect(clock.monotonicMs() - before).toBeLessThan(DRAIN_GRACE_MS);
  });

  test('rule 65: keeps every key with --disable-drain-on-disconnection', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { graceMs: undefined });
    const since = await local.revision();
    mesh.remove('berlin');
    await until('it is gone', () => mesh.status('berlin') === undefined);
    await oslo.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...oslo.keys('1', 'cache'), ...oslo.keys('2', 'cache') });
    expect((await changesSince(local, since)).filter(({ key }) => key.includes('berlin'))).toEqual([]);
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('an unreachable remote', () => {
  const SHARED = ['services', 'endpointslices', 'serviceexports'];

  test('rule 66: loses its services, slices and exports after the time, which is counted, and gets them back', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { cacheTtlMs: 1_500, silenceMs: 300 });
    await berlin.process.kill();
    const all = berlin.keys('1', 'cache');
    await mesh.holds(Object.fromEntries(Object.entries(all).filter(([key]) => !SHARED.includes(key.split('/')[2] ?? ''))));
    expect(mesh.find('berlin')?.revocations).toBe(1);
    const status = mesh.status('berlin');
    expect(status).toMatchObject({ 'num-nodes': 1, 'num-identities': 1, 'num-endpoints': 1 });
    for (const member of ['num-shared-services', 'num-endpoint-slices', 'num-service-exports'])
      expect(status).not.toHaveProperty(member);
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(6);
    expect(CONFIG in (await local.dump())).toBe(true);
    await berlin.process.restart();
    await mesh.holds(all);
  });

  test('rule 67: for less than the time, or where there is none, loses nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = new Mesh(local, { cacheTtlMs: 3_600_000, silenceMs: 300 });
    await using endless = await startLocal();
    await using never = new Mesh(endless, { cacheTtlMs: 0, silenceMs: 300 });
    const both = [
      { rig: mesh, store: local },
      { rig: never, store: endless },
    ];
    for (const { rig } of both) rig.add(berlin);
    for (const { rig } of both) await rig.synced('berlin');
    const since = await Promise.all(both.map(({ store }) => store.revision()));
    await berlin.process.kill();
    for (const { rig } of both) await rig.until('it is lost', 'berlin', ({ connected }) => connected === undefined);
    await berlin.process.restart();
    for (const { rig } of both) await rig.until('it is back', 'berlin', ({ ready }) => ready);
    expect(await Promise.all(both.map(({ store }) => store.revision()))).toEqual(since);
    expect(both.map(({ rig }) => rig.find('berlin')?.revocations)).toEqual([0, 0]);
  });

  test('rule 68: and was never reachable has nothing to lose, and the end of its time is counted anyway', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.process.kill();
    await using mesh = new Mesh(local, { cacheTtlMs: 300 });
    mesh.add(berlin);
    await until('it is counted', () => mesh.find('berlin')?.revocations === 1);
    expect(await local.dump('cilium/')).toEqual({});
    await berlin.process.restart();
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
  });
});
