/** Rules 16 to 25: canaries read and written, and when the daemon is ready. */

import { describe, expect, test, vi } from 'vitest';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import { overriding } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { FULL, Mesh, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { ALL_KINDS, canaries, changesSince, leased } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

describe.skipIf(etcdVersions().length === 0).concurrent('a remote', () => {
  test('rules 16, 18: with canaries is read kind by kind as they appear, and continues when they disappear', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    await berlin.fill('1');
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('it waits', 'berlin', ({ reason }) => reason?.startsWith('nodes: waiting for '));
    expect(mesh.status('berlin')?.connected).toBe(true);
    expect(mesh.status('berlin')?.ready).toBeUndefined();
    expect(await local.dump('cilium/cache/')).toEqual({});

    const seen: Record<string, string> = {};
    for (const kind of ALL_KINDS) {
      await berlin.announce(kind);
      const own = Object.entries(berlin.keys('1', 'cache')).filter(([key]) => key.startsWith(`cilium/cache/${kind}/`));
      Object.assign(seen, Object.fromEntries(own));
      await mesh.holds(seen);
      expect(mesh.status('berlin')?.ready === true).toBe(kind === ALL_KINDS.at(-1));
    }
    await mesh.synced('berlin');
    await berlin.delete(...ALL_KINDS.map((kind) => `cilium/synced/berlin/cilium/state/${kind}/v1`));
    await berlin.fill('2');
    await mesh.holds({ ...berlin.keys('1', 'cache'), ...berlin.keys('2', 'cache') });
  });

  test('rule 17: without canaries is read immediately, and no canary is required', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, { ...FULL, syncedCanaries: false });
    await berlin.fill('1');
    const asked: string[] = [];
    const around = (client: EtcdClient) =>
      overriding(client, {
        list: (prefix, options) => {
          asked.push(prefix);
          return client.list(prefix, options);
        },
        watch: (prefix, options) => {
          asked.push(prefix);
          return client.watch(prefix, options);
        },
      });
    await using mesh = await Mesh.mirroring(local, [berlin], { around });
    await mesh.holds(berlin.keys('1', 'cache'));
    expect(asked).toContain('cilium/state/nodes/v1/berlin/');
    expect(asked.filter((prefix) => prefix.startsWith('cilium/synced/'))).toEqual([]);
  });

  test('rule 19: has no canary here before the last key of its first listing, although writes fail in between', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    const names = Array.from({ length: 3_000 }, (_, index) => `node-${index}`);
    for (let at = 0; at < names.length; at += 100) {
      const some = names.slice(at, at + 100).map((name) => [`cilium/state/nodes/v1/berlin/${name}`, 'x'.repeat(150)]);
      await berlin.put(Object.fromEntries(some));
    }
    await berlin.announce();
    berlin.proxy.throttle(300_000);
    await using mesh = new Mesh(local, { pageSize: 100 });
    mesh.add(berlin);
    const count = async () => Object.keys(await local.dump('cilium/cache/nodes/')).length;
    await until('the first are there', async () => (await count()) > 0);
    expect(await canaries(local, 'berlin')).not.toContain('nodes');
    await local.process.restart();
    await mesh.synced('berlin');
    expect(await count()).toBe(names.length);
    const events = await changesSince(local, 0);
    const canary = events.find(({ key }) => key === 'cilium/synced/berlin/cilium/cache/nodes/v1');
    const nodes = events.filter(({ key }) => key.startsWith('cilium/cache/nodes/'));
    expect(new Set(nodes.map(({ key }) => key)).size).toBe(names.length);
    expect(canary?.modRevision).toBeGreaterThan(Math.max(...nodes.map(({ modRevision }) => modRevision)));
  });

  test('rule 20: has canaries here whose value is the time, on a lease that lives', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const before = Math.floor(Date.now() / 1000) * 1000;
    await using _mesh = await Mesh.mirroring(local, [berlin]);
    const found = await leased(local.client, 'cilium/synced/');
    expect(found.length).toBe(6);
    for (const { value, lease } of found) {
      expect(value.toString()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect(Date.parse(value.toString())).toBeGreaterThanOrEqual(before);
      expect((await local.client.leaseTimeToLive(lease, { signal: AbortSignal.timeout(60_000) }))?.ttl).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('the daemon', () => {
  test('rule 21: is not ready while a remote cannot be reached, and is after the time for one cluster', async () => {
    await using local = await startLocal();
    await using gone = await startFullRemote('gone', 8);
    await gone.process.kill();
    const directory = new ConfigDirectory();
    directory.add(gone);
    const flags = ['--per-cluster-ready-timeout=2s', '--global-ready-timeout=1h'];
    await using daemon = await KvstoremeshRun.start(local, directory, { flags });
    await until('it says so', async () => (await daemon.readyz()) === '500 NotReady');
    await daemon.ready();
    expect((await daemon.clusters())[0]?.connected).toBeUndefined();
  });

  test('rule 22: is not ready while a reachable remote lacks its canaries, before the time for all has passed', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const flags = ['--per-cluster-ready-timeout=4s', '--global-ready-timeout=6s'];
    const startMs = performance.now();
    await using daemon = await KvstoremeshRun.start(local, directory, { flags });
    await daemon.until('it waits for canaries', 'berlin', ({ reason }) => reason?.includes('waiting for'));
    await daemon.ready();
    expect(await canaries(local, 'berlin')).toEqual([]);
    expect(performance.now() - startMs).toBeGreaterThan(5_900);
  });

  test('rules 23, 24: is ready without remotes, and stays ready after any later change', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using gone = await startFullRemote('gone', 8);
    await gone.process.kill();
    const directory = new ConfigDirectory();
    await using daemon = await KvstoremeshRun.start(local, directory, { flags: ['--per-cluster-ready-timeout=1h'] });
    await daemon.ready();
    expect(await daemon.clusters()).toEqual([]);
    directory.add(gone);
    directory.add(berlin);
    await daemon.until('the one is ready', 'berlin', ({ ready }) => ready);
    await daemon.until('the other one is not', 'gone', ({ ready }) => !ready);
    expect(await daemon.readyz()).toBe('200 Ready');
    directory.remove('berlin');
    directory.remove('gone');
    await until('both are gone', async () => (await daemon.clusters()).length === 0);
    expect(await daemon.readyz()).toBe('200 Ready');
  });

  test('rule 23: is ready as a standby after a while', async () => {
    await using local = await startLocal();
    const directory = new ConfigDirectory();
    await using first = await KvstoremeshRun.start(local, directory);
    await first.ready();
    const timing = { standbyMs: 2_000 };
    await using second = await KvstoremeshRun.start(local, directory, { timing });
    await until('it says so', async () => (await second.readyz()) === '500 NotReady');
    await second.ready();
    expect((await second.get('metrics', '/metrics')).body).toContain('leader_election_master_status{name="kvstoremesh"} 0\n');
  });

  test('rule 25: answers Ready or NotReady, to the letter, and no other path', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, {});
    await berlin.process.kill();
    const directory = new ConfigDirectory();
    directory.add(berlin);
    await using daemon = await KvstoremeshRun.start(local, directory);
    await until('it says no', async () => (await daemon.readyz()) === '500 NotReady');
    await berlin.process.restart();
    await until('it says yes', async () => (await daemon.readyz()) === '200 Ready', { withinMs: 45_000 });
    for (const path of ['/', '/metrics', '/ready', '/readyz/', '/v1/cluster']) {
      expect((await daemon.get('health', path)).status).toBe(404);
    }
  });
});
