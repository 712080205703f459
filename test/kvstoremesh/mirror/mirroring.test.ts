import { describe, expect, test } from 'vitest';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { FULL, Mesh, startFullRemote, startLocal, startRemote } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

const MIRROR_CAPABILITIES = { ...FULL, cached: true };

describe.skipIf(etcdVersions().length === 0)('a remote cluster', () => {
  test('is mirrored with all six kinds, its cluster config first and each canary after its keys', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.fill('2');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });

    const config = await local.dump('cilium/cluster-config/');
    expect(config).toEqual({
      'cilium/cluster-config/berlin':
        '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":true,"endpointSlicesExportMode":"services-and-endpointslices"}}',
    });
    const written = await local.revision('cilium/cluster-config/berlin');
    for (const key of Object.keys(berlin.keys('1', 'cache'))) {
      const scope = key.split('/')[2];
      const canary = await local.revision(`cilium/synced/berlin/cilium/cache/${scope}/v1`);
      expect(await local.revision(key)).toBeGreaterThan(written);
      expect(canary).toBeGreaterThan(await local.revision(key));
    }
  });

  test('is followed: new keys, new values and removals arrive, equal values write nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    const before = await local.revision('cilium/cache/nodes/v1/berlin/node-1');
    await berlin.fill('1');
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': 'another' });
    await berlin.delete('cilium/state/services/v1/berlin/shop/2');
    const expected = { ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') };
    expected['cilium/cache/nodes/v1/berlin/node-2'] = 'another';
    delete expected['cilium/cache/services/v1/berlin/shop/2'];
    await mesh.holds(expected);
    expect(await local.revision('cilium/cache/nodes/v1/berlin/node-1')).toBe(before);
  });

  test('is mirrored byte for byte, and only what is below its own prefixes', async () => {
    await using local = await startLocal();
    await using a = await startFullRemote('a', 7);
    const big = Buffer.alloc(1024 * 1024, 'xyz');
    const binary = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0xfe, 0xc3, 0x28]);
    await a.put({ 'cilium/state/services/v1/a/big': big });
    await a.put({
      'cilium/state/nodes/v1/ab/foreign': 'x',
      'cilium/state/identities/v1/value/k8s:x;/10.0.0.1': '1',
      'cilium/state/identities/v1/locks/x': '',
      'cilium/state/ip/v1/other/1.2.3.4': '{}',
      'cilium/cache/nodes/v1/a/cached': 'x',
      'cilium/state/nodes/v1/a/': 'no name below its prefix',
      'cilium/state/nodes/v1/a/é 中;=%': 'odd',
      'cilium/state/nodes/v1/a/../up': 'literal',
      'cilium/state/nodes/v1/a/empty': '',
      'cilium/state/endpointslices/v1/a/ns/binary': binary,
    });
    const odd = [Buffer.from('cilium/state/nodes/v1/a/'), Buffer.from([0, 0xff, 0xc3, 0x28])];
    const key = Buffer.concat(odd).toString('latin1') as ReturnType<typeof keyOf>;
    await a.client.txn([{ type: 'put', key, value: binary, lease: 0n as never }], { signal: AbortSignal.timeout(60_000) });
    await using mesh = await Mesh.mirroring(local, [a], { pageSize: 2 });
    await mesh.holds({
      ...a.keys('1', 'cache'),
      'cilium/cache/services/v1/a/big': big.toString('latin1'),
      [keyOf('cilium/cache/nodes/v1/a/é 中;=%')]: 'odd',
      'cilium/cache/nodes/v1/a/../up': 'literal',
      'cilium/cache/nodes/v1/a/empty': '',
      'cilium/cache/endpointslices/v1/a/ns/binary': binary.toString('latin1'),
      [key.replace('state', 'cache')]: binary.toString('latin1'),
    });
    const rejected = await mesh.registry.getSingleMetric('test_publisher_rejected_keys_total')?.get();
    const own = rejected?.values.find(({ labels }) => labels.reason === 'outside_prefix' && labels.scope === 'nodes/v1');
    expect(own?.value).toBe(1);
  });

  test('that is a mirror itself is read below cilium/cache, and by the canaries of it', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, MIRROR_CAPABILITIES);
    await berlin.fill('1');
    await berlin.announce();
    await berlin.put(berlin.keys('2', 'cache'));
    await berlin.put({ 'cilium/cache/identities/v1/berlin/value/x': '1' });
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('it waits for canaries', 'berlin', ({ config }) => config?.kvstoremesh);
    const scopes = Object.keys(berlin.keys('2', 'cache')).map((key) => key.split('/')[2]);
    await berlin.put(Object.fromEntries(scopes.map((scope) => [`cilium/synced/berlin/cilium/cache/${scope}/v1`, 'x'])));
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('2', 'cache'));
  });

  test('is read kind by kind as its canaries appear, which may go again', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    await berlin.fill('1');
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('it is connected', 'berlin', ({ config }) => config?.retrieved);
    await berlin.announce('nodes');
    await mesh.until('nodes are read', 'berlin', ({ synced }) => synced.nodes);
    const nodes = { 'cilium/cache/nodes/v1/berlin/node-1': 'node 1' };
    await mesh.holds(nodes);
    expect(Object.keys(await local.dump('cilium/synced/'))).toEqual(['cilium/synced/berlin/cilium/cache/nodes/v1']);
    expect(mesh.status('berlin')?.ready).toBeUndefined();
    expect(mesh.status('berlin')?.reason).toMatch(
      /^identities: waiting for cilium\/synced\/berlin\/cilium\/state\/identities\/v1, /,
    );
    await berlin.announce('services');
    await mesh.holds({ ...nodes, 'cilium/cache/services/v1/berlin/shop/1': 'service 1' });
    await berlin.announce();
    await mesh.synced('berlin');
    await berlin.delete('cilium/synced/berlin/cilium/state/nodes/v1');
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
  });

  test('without canaries is read at once', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    await berlin.fill('1');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const { ...expected } = berlin.keys('1', 'cache');
    delete expected['cilium/cache/endpointslices/v1/berlin/shop/1-x'];
    delete expected['cilium/cache/serviceexports/v1/berlin/shop/1'];
    await mesh.holds(expected);
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(6);
  });

  test('rules 11, 48: that changes its exported kinds is followed immediately: kinds are removed and added', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const before = await local.revision('cilium/cache/nodes/v1/berlin/node-1');
    const all = berlin.keys('1', 'cache');

    await berlin.configure(7, { syncedCanaries: true });
    const { ...fewer } = all;
    delete fewer['cilium/cache/endpointslices/v1/berlin/shop/1-x'];
    delete fewer['cilium/cache/serviceexports/v1/berlin/shop/1'];
    await mesh.holds(fewer);
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(6);
    expect(await local.dump('cilium/cluster-config/')).toEqual({
      'cilium/cluster-config/berlin': '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true}}',
    });

    await berlin.configure(7);
    await mesh.holds(all);
    await mesh.synced('berlin');
    expect(await local.revision('cilium/cache/nodes/v1/berlin/node-1')).toBe(before);
  });

  test('without a cluster config is waited for; once mirrored it stays mirrored without one', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.delete('cilium/cluster-config/berlin');
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('the lack is told', 'berlin', ({ reason }) => reason?.startsWith('the remote has no'));
    expect(mesh.status('berlin')).toMatchObject({ connected: true, config: { required: true }, synced: { services: true } });
    expect(await local.dump()).toEqual({});

    await berlin.put({ 'cilium/cluster-config/berlin': '{"id":' });
    await mesh.until('the error is told', 'berlin', ({ reason }) => reason === 'the cluster config is not JSON');
    await berlin.configure(7);
    await mesh.synced('berlin');
    await berlin.delete('cilium/cluster-config/berlin');
    await mesh.until('the lack is told again', 'berlin', ({ reason }) => reason?.startsWith('the remote has no'));
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    expect(mesh.status('berlin')).toMatchObject({ ready: true, config: { retrieved: true } });
    await berlin.configure(7);
    await mesh.until('all is well', 'berlin', ({ ready, reason }) => ready && reason === undefined);
  });

  test.each([
    [0, /cluster ID 0 is reserved/],
    [200, /cluster ID 200 is in use by the local cluster harbor/],
    [256, /cluster ID 256 is not supported/],
  ])('with the ID %i is refused, and nothing of it is written', async (id, message) => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', id);
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('it is refused', 'berlin', ({ reason }) => reason?.match(message));
    expect(mesh.status('berlin')).toMatchObject({ connected: true, config: { retrieved: true } });
    expect(mesh.status('berlin')?.ready).toBeUndefined();
    expect(await local.dump()).toEqual({});
    await berlin.configure(7);
    await mesh.synced('berlin');
  });

  test('with the ID of another one is refused until that is gone', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    mesh.add(oslo);
    await mesh.until('it is refused', 'oslo', ({ reason }) => reason?.includes('in use by cluster berlin'));
    expect(await local.dump('cilium/cluster-config/oslo')).toEqual({});
    mesh.remove('berlin');
    await mesh.synced('oslo');
  });

  test('with any ID is mirrored if conflicts are allowed', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 0);
    await using oslo = await startFullRemote('oslo', 200);
    await using _mesh = await Mesh.mirroring(local, [berlin, oslo], { allowIdConflicts: true });
  });

  test('whose address is the local etcd, or an etcd of the local cluster, is refused', async () => {
    await using harbor = await startFullRemote('berlin', 7);
    await using mesh = new Mesh(harbor);
    mesh.add(harbor);
    await mesh.until('it is refused', 'berlin', ({ reason }) => reason?.includes('is the address of the local etcd'));

    await using replica = await startFullRemote('oslo', 8);
    await replica.put({ 'cilium/cluster-config/harbor': '{"id":200,"capabilities":{"syncedCanaries":true}}' });
    mesh.add(replica);
    await mesh.until('it is refused', 'oslo', ({ reason }) => reason?.includes('is an etcd of the local cluster harbor'));
    expect(Object.keys(await harbor.dump('cilium/cache/'))).toEqual([]);
    // What the other side mirrors of us is no sign of that.
    await replica.put({ 'cilium/cluster-config/harbor': '{"id":200,"capabilities":{"syncedCanaries":true,"cached":true}}' });
    await mesh.synced('oslo');
  });

  test('is one of several, none of which touches the keys of another', async () => {
    await using local = await startLocal();
    await using a = await startFullRemote('a', 7);
    await using ab = await startFullRemote('ab', 8);
    await using mesh = await Mesh.mirroring(local, [a, ab]);
    await a.put({ 'cilium/state/nodes/v1/ab/foreign': 'x' });
    await a.delete(...Object.keys(a.keys('1', 'state')));
    await mesh.holds(ab.keys('1', 'cache'));
    await until('the number of keys is told', () => mesh.status('a')?.['num-nodes'] === undefined);
    expect(mesh.status('ab')).toMatchObject({
      'num-nodes': 1,
      'num-identities': 1,
      'num-endpoints': 1,
      'num-shared-services': 1,
      'num-endpoint-slices': 1,
      'num-service-exports': 1,
    });
  });
});
