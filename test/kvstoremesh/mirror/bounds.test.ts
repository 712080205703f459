import { describe, expect, test } from 'vitest';
import { registerRemoteMetrics } from '../../../src/kvstoremesh/status/remote-metrics.ts';
import { REMOTE_CHANGES_BURST_SECONDS } from '../../../src/shared/limits.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { FULL, Mesh, type Remote, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

const nodes = (remote: Remote, count: number, tag: string, root: 'state' | 'cache' = 'state', value = 'v') =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`cilium/${root}/nodes/v1/${remote.name}/${tag}-${i}`, value] as const),
  );

/** In transactions of a hundred. */
async function put(remote: Remote, entries: Readonly<Record<string, string>>): Promise<void> {
  const all = Object.entries(entries);
  for (let at = 0; at < all.length; at += 100) await remote.put(Object.fromEntries(all.slice(at, at + 100)));
}

/** A change of the other cluster arrives: it has not noticed. */
async function goesOn(mesh: Mesh, other: Remote, tag: string): Promise<void> {
  await other.fill(tag);
  await until(`keys ${tag} of ${other.name} arrive`, async () => {
    const held = await mesh.local.dump('cilium/cache/');
    return Object.entries(other.keys(tag, 'cache')).every(([key, value]) => held[key] === value);
  });
  expect(mesh.status(other.name)).toMatchObject({ ready: true });
}

describe.skipIf(etcdVersions().length === 0)('a remote cluster that is too much', () => {
  test('stops with its last valid state when it has too many keys, while others continue, and is mirrored again once it has fewer', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = new Mesh(local, { limits: { keys: 50 } });
    registerRemoteMetrics(mesh.registry, () => mesh.remotes.all, mesh.limits);
    mesh.add(berlin);
    mesh.add(oslo);
    await mesh.synced('berlin');
    await mesh.synced('oslo');
    await put(berlin, nodes(berlin, 500, 'many'));
    await mesh.until('berlin is stopped', 'berlin', (status) => status['stopped-by'] === 'keys');
    const status = mesh.status('berlin');
    expect(status).toMatchObject({ connected: true });
    expect(status?.ready).toBeUndefined();
    expect(status?.reason).toMatch(/more than 50 keys.*--remote-max-keys/);

    const held = await local.dump('cilium/cache/');
    for (const [key, value] of Object.entries(berlin.keys('1', 'cache'))) expect(held[key]).toBe(value);
    expect(Object.keys(held).filter((key) => key.includes('/berlin/')).length).toBeLessThanOrEqual(50);
    await goesOn(mesh, oslo, '2');
    // The removal of a key that is mirrored is not followed either: nothing changes until everything was read again.
    const scrape = await mesh.registry.metrics();
    expect(scrape).toMatch(/^test_remote_cluster_stopped\{target_cluster="berlin"\} 1$/m);
    expect(scrape).toMatch(/^test_remote_cluster_bound_exceeded_total\{target_cluster="berlin",bound="keys"\} [1-9]/m);
    expect(scrape).toMatch(/^test_remote_cluster_bounds\{bound="keys"\} 50$/m);
    expect(scrape).toMatch(/^test_remote_cluster_keys\{target_cluster="oslo"\} 12$/m);
    expect(scrape).toMatch(/^test_remote_cluster_changes_total\{target_cluster="oslo"\} [1-9]/m);

    for (let at = 0; at < 500; at += 100) {
      await berlin.delete(...Object.keys(nodes(berlin, 500, 'many')).slice(at, at + 100));
    }
    await mesh.until('berlin is mirrored again', 'berlin', (now) => now.ready && now['stopped-by'] === undefined);
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...oslo.keys('1', 'cache'), ...oslo.keys('2', 'cache') });
    mesh.remove('berlin');
    expect(await mesh.registry.metrics()).not.toMatch('target_cluster="berlin"');
  });

  test('from the start is left before its keys are read, and its cluster config is followed all the same', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await put(berlin, nodes(berlin, 500, 'many'));
    await using mesh = new Mesh(local, { limits: { keys: 50 }, pageSize: 10 });
    mesh.add(berlin);
    await mesh.until('berlin is stopped', 'berlin', (status) => status['stopped-by'] === 'keys');
    expect(Object.keys(await local.dump('cilium/cache/nodes/v1/berlin/'))).toEqual([]);
    expect(mesh.find('berlin')?.state.hasBegun).toBe(false);
    await berlin.configure(9);
    await mesh.until('the new ID is seen', 'berlin', ({ config }) => config?.['cluster-id'] === 9);
    await berlin.delete('cilium/cluster-config/berlin');
    await mesh.until('berlin is still stopped', 'berlin', (status) => status['stopped-by'] === 'keys');
  });

  test('stops when its keys and values have too many bytes', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { limits: { bytes: 100_000 } });
    await put(berlin, nodes(berlin, 9, 'big', 'state', 'x'.repeat(20_000)));
    await mesh.until('berlin is stopped', 'berlin', (status) => status['stopped-by'] === 'bytes');
    const held = await local.dump('cilium/cache/nodes/v1/berlin/');
    expect(Object.values(held).reduce((sum, value) => sum + value.length, 0)).toBeLessThanOrEqual(100_000);
    await goesOn(mesh, oslo, '2');
    await berlin.delete(...Object.keys(nodes(berlin, 7, 'big')));
    const left = Object.entries(nodes(berlin, 9, 'big', 'cache', 'x'.repeat(20_000))).slice(7);
    await mesh.holds({
      ...berlin.keys('1', 'cache'),
      ...Object.fromEntries(left),
      ...oslo.keys('1', 'cache'),
      ...oslo.keys('2', 'cache'),
    });
    await mesh.synced('berlin');
  });

  test('stops when it changes too fast for too long, and a new listing makes up for it', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { limits: { 'change-rate': 1 } });
    const before = mesh.find('berlin')?.bounds.exceeded('change-rate');
    const storm = REMOTE_CHANGES_BURST_SECONDS + 100;
    for (let i = 0; i < storm; i += 50) await berlin.put(nodes(berlin, 50, 'same', 'state', `${i}`));
    await until('the rate was exceeded', () => mesh.find('berlin')?.bounds.exceeded('change-rate') !== before);
    await goesOn(mesh, oslo, '2');
    await mesh.holds({
      ...berlin.keys('1', 'cache'),
      ...nodes(berlin, 50, 'same', 'cache', `${storm - 50}`),
      ...oslo.keys('1', 'cache'),
      ...oslo.keys('2', 'cache'),
    });
    await mesh.synced('berlin');
  });

  test('in a single key or value has all others mirrored, and the last good value of that one', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { limits: { 'key-size': 100, 'value-size': 1000 } });
    await berlin.put({
      'cilium/state/nodes/v1/berlin/node-1': 'x'.repeat(1001),
      [`cilium/state/services/v1/berlin/${'n'.repeat(100)}`]: 'v',
    });
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    const status = mesh.status('berlin');
    expect(status).toMatchObject({ ready: true });
    expect(status?.reason).toMatch(/nodes: key cilium\/state\/nodes\/v1\/berlin\/node-1 \(35 bytes, its value 1001\)/);
    expect(status?.reason).not.toMatch('xxx');
    await berlin.compact();
    berlin.proxy.cut();
    await berlin.fill('3');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache'), ...berlin.keys('3', 'cache') });
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': 'small again' });
    await mesh.until('the reason names the next one', 'berlin', ({ reason }) => reason?.startsWith('services: key'));
  });

  test('in one kind after another is within its bounds, and so is one of which a kind is not mirrored any more', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { limits: { keys: 50 } });
    const some = (kind: string, root: 'state' | 'cache') =>
      Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`cilium/${root}/${kind}/v1/berlin/some-${i}`, 'v'] as const));
    const always = berlin.keys('1', 'cache');
    await berlin.put(some('services', 'state'));
    await mesh.holds({ ...always, ...some('services', 'cache') });
    await berlin.delete(...Object.keys(some('services', 'state')));
    await mesh.holds(always);
    await berlin.put(some('nodes', 'state'));
    await mesh.holds({ ...always, ...some('nodes', 'cache') });
    await berlin.delete(...Object.keys(some('nodes', 'state')));
    await berlin.put(some('services', 'state'));
    await mesh.holds({ ...always, ...some('services', 'cache') });
    await berlin.configure(7, { ...FULL, endpointSlicesExportMode: 'endpointslices-only' });
    const withoutServices = Object.fromEntries(Object.entries(always).filter(([key]) => !key.includes('/services/')));
    await mesh.holds(withoutServices);
    await mesh.synced('berlin');
    await berlin.put(some('nodes', 'state'));
    await mesh.holds({ ...withoutServices, ...some('nodes', 'cache') });
    expect(mesh.find('berlin')?.bounds.exceeded('keys')).toBe(0);
  });

  test('in what it writes around its heartbeat is not even asked for that, and in the heartbeat itself as bounded as elsewhere', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo], { limits: { 'change-rate': 1 } });
    const bounds = mesh.find('berlin')?.bounds;
    const before = bounds?.changes;
    for (let i = 0; i < 300; i += 100) {
      await berlin.put(Object.fromEntries(Array.from({ length: 100 }, (_, j) => [`cilium/.heartbeat/${i + j}/x/y`, 'v'])));
    }
    await berlin.fill('2');
    const both = (tag: string) => ({ ...berlin.keys(tag, 'cache'), ...oslo.keys('1', 'cache') });
    await mesh.holds({ ...both('1'), ...both('2') });
    expect((bounds?.changes ?? 0) - (before ?? 0)).toBe(6);
    expect(await mesh.registry.metrics()).not.toMatch(/scope="\d+\/x"/);

    for (let i = 0; i <= REMOTE_CHANGES_BURST_SECONDS + 20; i += 1) await berlin.put({ 'cilium/.heartbeat': `${i}` });
    await until('the rate was exceeded', () => bounds?.exceeded('change-rate') !== 0);
    await goesOn(mesh, oslo, '3');
  });

  test('in a value keeps the last good one over a restart, and over the first listing after it', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const limits = { 'value-size': 1000 };
    const first = new Mesh(local, { limits });
    first.add(berlin);
    await first.synced('berlin');
    await first.stop();
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': 'x'.repeat(1001) });
    await berlin.put({ 'cilium/state/services/v1/berlin/shop//1': 'x'.repeat(1001) });
    await berlin.delete('cilium/state/services/v1/berlin/shop/1');
    await berlin.fill('2');
    await using mesh = await Mesh.mirroring(local, [berlin], { limits });
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
    await berlin.delete('cilium/state/nodes/v1/berlin/node-1', 'cilium/state/services/v1/berlin/shop//1');
    const left = Object.entries(berlin.keys('1', 'cache')).filter(([key]) => !/node-1$|services.*\/shop\/1$/.test(key));
    await mesh.holds({ ...Object.fromEntries(left), ...berlin.keys('2', 'cache') });
  });
});
