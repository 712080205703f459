import { describe, expect, test } from 'vitest';
import { ManualClock } from '../support/clocks.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';

describe.skipIf(etcdVersions().length === 0)('when something fails', { timeout: 90_000 }, () => {
  test('rule 39: a remote that restarts with its data causes no write and no failure', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const before = await local.revision();
    await berlin.process.restart();
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    expect(mesh.status('berlin')).toMatchObject({ connected: true, ready: true });
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
    for (const key of Object.keys(berlin.keys('1', 'cache'))) expect(await local.revision(key)).toBeLessThanOrEqual(before);
  });

  test('rule 42: a remote whose history was compacted while it was away is compared, and only differences are written', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.fill('2');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    const before = await local.revision();

    await berlin.proxy.disconnect();
    await berlin.fill('3');
    await berlin.delete('cilium/state/nodes/v1/berlin/node-2', 'cilium/state/services/v1/berlin/shop/2');
    await berlin.put({ 'cilium/state/identities/v1/id/2': 'k8s:app=changed;' });
    await berlin.compact();
    await berlin.proxy.heal();

    const expected: Record<string, string> = {
      ...berlin.keys('1', 'cache'),
      ...berlin.keys('2', 'cache'),
      ...berlin.keys('3', 'cache'),
      'cilium/cache/identities/v1/berlin/id/2': 'k8s:app=changed;',
    };
    delete expected['cilium/cache/nodes/v1/berlin/node-2'];
    delete expected['cilium/cache/services/v1/berlin/shop/2'];
    await mesh.holds(expected);
    for (const key of Object.keys(berlin.keys('1', 'cache'))) expect(await local.revision(key)).toBeLessThanOrEqual(before);
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
  });

  test('rule 37: a silent remote is reported as lost, its keys stay, and it returns without a write', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { silenceMs: 500 });
    const before = await local.revision();
    await berlin.process.kill();
    await mesh.until('it is lost', 'berlin', ({ connected }) => connected === undefined);
    expect(mesh.status('berlin')).toMatchObject({
      status: 'Waiting for initial connection to be established',
      synced: { 'endpoint-slices': false, 'service-exports': false },
      'num-failures': 1,
      'num-nodes': 1,
      reason: expect.stringContaining('no answer'),
    });
    expect(mesh.status('berlin')?.['last-failure']).toMatch(/^20\d\d-.*\.\d{3}Z$/);
    await mesh.holds(berlin.keys('1', 'cache'));
    await berlin.process.restart();
    await mesh.synced('berlin');
    expect(await local.revision()).toBe(before);
  });

  test('rule 40: a remote that comes back empty loses nothing before it announces what it has', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const kept = 'cilium/state/nodes/v1/berlin/kept';
    await berlin.put({ [kept]: 'kept' });
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const before = await local.revision();
    const id = mesh.status('berlin')?.status;
    await berlin.process.restart({ wipe: true, clusterToken: 'another' });
    berlin.client.forgetCluster();
    await mesh.until('the other store is found', 'berlin', ({ status, connected }) => connected && status !== id);
    await berlin.fill('2');
    await berlin.put({ [kept]: 'kept' });
    await berlin.configure(7);
    await mesh.until('it says what it is', 'berlin', ({ config }) => config?.retrieved);
    await berlin.announce('nodes');
    const mirrored = { [kept.replace('/state/', '/cache/')]: 'kept' };
    const { ...expected } = berlin.keys('1', 'cache');
    delete expected['cilium/cache/nodes/v1/berlin/node-1'];
    expected['cilium/cache/nodes/v1/berlin/node-2'] = 'node 2';
    await mesh.holds({ ...expected, ...mirrored });
    await berlin.announce();
    await mesh.holds({ ...berlin.keys('2', 'cache'), ...mirrored });
    for (const key of Object.keys(mirrored)) expect(await local.revision(key)).toBeLessThanOrEqual(before);
    expect(mesh.status('berlin')?.['num-failures']).toBe(1);
  });

  test('a remote that is replaced again and again is mirrored again as soon each time', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const clock = new ManualClock();
    await using mesh = await Mesh.mirroring(local, [berlin], { clock });
    for (let round = 1; round <= 6; round += 1) {
      await clock.advance(9_000);
      await berlin.process.restart({ wipe: true, clusterToken: `round-${round}` });
      berlin.client.forgetCluster();
      await berlin.configure(7);
      await berlin.fill(String(round + 1));
      await berlin.announce();
      const failed = ({ 'num-failures': failures = 0 }) => failures >= round;
      await mesh.until('the other store is found', 'berlin', failed);
      await clock.advance(1_000);
      await mesh.holds(berlin.keys(String(round + 1), 'cache'));
      await mesh.synced('berlin');
    }
  });

  test('an address that leads to another etcd of the same cluster is followed there and back, by one new connection', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using twin = await startFullRemote('berlin', 7);
    await twin.fill('2');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const before = await local.revision('cilium/cache/nodes/v1/berlin/node-1');
    const { accepted } = berlin.proxy;
    berlin.proxy.retarget(twin.process.port);
    berlin.proxy.cut();
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    // The next one could lead back to the first etcd, as while a Pod is replaced.
    expect(berlin.proxy.accepted).toBe(accepted + 1);
    berlin.proxy.retarget(berlin.process.port);
    berlin.proxy.cut();
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(await local.revision('cilium/cache/nodes/v1/berlin/node-1')).toBe(before);
  });

  test('a remote that cannot be reached at first is mirrored once it can, and delays no other', async () => {
    await using local = await startLocal();
    await using gone = await startFullRemote('gone', 8);
    await gone.process.kill();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = new Mesh(local);
    mesh.add(gone);
    mesh.add(berlin);
    await mesh.synced('berlin');
    await mesh.until('the reason is told', 'gone', ({ reason }) => reason?.includes('cannot reach etcd'));
    expect(mesh.status('gone')).toMatchObject({ synced: { services: true }, 'last-failure': '0001-01-01T00:00:00.000Z' });
    await gone.process.restart();
    await mesh.synced('gone');
  });

  test('an invalid file is reported with its line, and is tried again when it changes', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    mesh.change('berlin', '"\nendpoints: [');
    await mesh.until('the error is told', 'berlin', ({ reason }) => reason?.match(/berlin:\d+: /));
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
    mesh.change('berlin', berlin.proxy.endpoint);
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
  });

  test('rule 54: our own restart does not write existing keys, and removes stale ones', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.fill('2');
    const first = new Mesh(local);
    first.add(berlin);
    await first.synced('berlin');
    await first.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    await first.stop();
    const before = await local.revision();
    await berlin.delete('cilium/state/nodes/v1/berlin/node-2');
    const expected: Record<string, string> = { ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') };
    delete expected['cilium/cache/nodes/v1/berlin/node-2'];
    await using second = await Mesh.mirroring(local, [berlin]);
    await second.holds(expected);
    for (const key of Object.keys(expected)) expect(await local.revision(key)).toBeLessThanOrEqual(before);
    expect(await local.revision('cilium/cluster-config/berlin')).toBeLessThanOrEqual(before);
  });

  test('a local etcd that comes back empty is filled again while the remote is away', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    await berlin.process.kill();
    await local.process.restart({ wipe: true, clusterToken: 'another' });
    local.client.forgetCluster();
    await mesh.holds(berlin.keys('1', 'cache'));
    await until('the cluster config is back', async () => Object.keys(await local.dump('cilium/cluster-config/')).length === 1);
    await until('the canaries are back', async () => Object.keys(await local.dump('cilium/synced/')).length === 6);
  });

  test('a local etcd that is away at the start is no failure of any remote', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await local.process.kill();
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until(
      'the reason is reported',
      'berlin',
      ({ connected, reason }) => connected && reason?.includes('cannot reach etcd'),
    );
    await local.process.restart();
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(mesh.status('berlin')?.['num-failures']).toBeUndefined();
  });

  test('a remote that is unreachable for too long loses only its services, and gets them back', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { cacheTtlMs: 400, silenceMs: 300 });
    await berlin.process.kill();
    const { ...kept } = berlin.keys('1', 'cache');
    delete kept['cilium/cache/services/v1/berlin/shop/1'];
    delete kept['cilium/cache/endpointslices/v1/berlin/shop/1-x'];
    delete kept['cilium/cache/serviceexports/v1/berlin/shop/1'];
    await mesh.holds(kept);
    expect(Object.keys(await local.dump('cilium/synced/')).length).toBe(6);
    expect(mesh.find('berlin')?.revocations).toBe(1);
    expect(mesh.status('berlin')?.['num-shared-services']).toBeUndefined();
    await berlin.process.restart();
    await mesh.holds(berlin.keys('1', 'cache'));
  });

  test('many reconnects leave nothing behind', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const before = await local.revision();
    const reconnects = async (count: number) => {
      for (let round = 0; round < count; round += 1) {
        mesh.change('berlin', berlin.proxy.endpoint);
        await mesh.until('it starts over', 'berlin', ({ ready }) => ready === undefined);
        await mesh.until('it is read again', 'berlin', ({ ready }) => ready);
      }
    };
    await reconnects(3);
    const handles = process.getActiveResourcesInfo().length;
    await reconnects(30);
    await until('handles are freed', () => process.getActiveResourcesInfo().length <= handles + 2, {
      status: () => process.getActiveResourcesInfo(),
    });
    expect(berlin.proxy.connections).toBeLessThanOrEqual(2);
    expect(await local.revision()).toBe(before);
  });

  test('rule 44: a remote of many keys that changes while it is listed ends up equal', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    const value = (round: number) => (index: number) => [`cilium/state/ip/v1/default/10.0.${index}`, `${round}`];
    for (let start = 0; start < 10_000; start += 100) {
      await berlin.put(Object.fromEntries(Array.from({ length: 100 }, (_, index) => value(0)(start + index))));
    }
    await using mesh = new Mesh(local, { pageSize: 256 });
    mesh.add(berlin);
    for (let round = 1; round <= 10; round += 1) {
      await berlin.put(Object.fromEntries(Array.from({ length: 100 }, (_, index) => value(round)(index * 99))));
      await berlin.delete(...Array.from({ length: 20 }, (_, index) => `cilium/state/ip/v1/default/10.0.${round * 40 + index}`));
    }
    const source = await berlin.dump('cilium/state/ip/v1/default/');
    await mesh.holds(
      Object.fromEntries(
        Object.entries(source).map(([key, text]) => [key.replace('state/ip/v1/default', 'cache/ip/v1/berlin'), text]),
      ),
    );
  });
});
