import { describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

describe.skipIf(etcdVersions().length === 0)('a cluster whose file is gone', () => {
  test('loses its cluster config at once and its keys after the grace, leftovers of others included', async () => {
    await using local = await startLocal();
    await local.put({
      'cilium/cache/identities/v1/berlin/value/old': '1',
      'cilium/cache/nodes/v1/berlinish/x': 'another cluster',
      'cilium/synced/berlinish/x': 'another cluster',
    });
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { graceMs: 700 });
    mesh.remove('berlin');
    expect(mesh.status('berlin')).toBeUndefined();
    await until('the cluster config is gone', async () => !('cilium/cluster-config/berlin' in (await local.dump())));
    expect(await local.dump('cilium/cache/nodes/v1/berlin/')).toEqual({ 'cilium/cache/nodes/v1/berlin/node-1': 'node 1' });
    expect(Object.keys(await local.dump('cilium/synced/berlin/')).length).toBe(6);
    await berlin.fill('2');

    await mesh.holds({ ...oslo.keys('1', 'cache'), 'cilium/cache/nodes/v1/berlinish/x': 'another cluster' });
    expect(await local.dump('cilium/synced/berlin/')).toEqual({});
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(7);
  });

  test('and comes back within the grace is removed first, then taken up again', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { graceMs: 500 });
    const before = await local.revision('cilium/cache/nodes/v1/berlin/node-1');
    mesh.remove('berlin');
    mesh.add(berlin);
    expect(mesh.status('berlin')).toBeUndefined();
    await until('it is listed again', () => mesh.status('berlin') !== undefined);
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(await local.revision('cilium/cache/nodes/v1/berlin/node-1')).toBeGreaterThan(before);
  });

  test('and comes and goes within the grace stays gone', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { graceMs: 300 });
    mesh.remove('berlin');
    mesh.add(berlin);
    mesh.remove('berlin');
    await mesh.holds({});
    expect(mesh.remotes.all).toEqual([]);
  });

  test('keeps everything where nothing is to be drained, and can come back at once', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { graceMs: undefined });
    const before = await local.revision();
    const keys = ['cilium/cluster-config/berlin', ...Object.keys(berlin.keys('1', 'cache'))];
    mesh.remove('berlin');
    await until('it is gone', () => mesh.status('berlin') === undefined);
    mesh.add(berlin);
    await until('it is listed again', () => mesh.status('berlin') !== undefined);
    await mesh.synced('berlin');
    for (const key of keys) expect(await local.revision(key)).toBeLessThanOrEqual(before);
  });

  test('that was never reached leaves nothing of an earlier run either', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await local.put({ ...berlin.keys('1', 'cache'), 'cilium/cluster-config/berlin': '{}' });
    await berlin.process.kill();
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    mesh.remove('berlin');
    await mesh.holds({});
    await until('all is gone', async () => Object.keys(await local.dump()).length === 0);
  });

  test('is drained once the local etcd is back, however long that takes', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    mesh.remove('berlin');
    await until('the cluster config is gone', async () => !('cilium/cluster-config/berlin' in (await local.dump())));
    await local.process.restart();
    await mesh.holds({});
  });

  test('has no series any more', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    expect(await mesh.registry.metrics()).toContain('source_cluster="berlin"');
    mesh.remove('berlin');
    await mesh.holds({});
    await until('no series names it', async () => !(await mesh.registry.metrics()).includes('berlin'));
  });
});
