/** Keys of earlier runs for clusters that are no longer configured. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { orphanedClusters } from '../../../src/kvstoremesh/removal/orphans.ts';
import type { EtcdClient } from '../../../src/shared/etcd/types.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory, harborFlags } from '../../support/kvstoremesh/config-directory.ts';
import { Mesh, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { type Daemon, quickProgram, startDaemon } from '../../support/processes/daemon.ts';
import type { QuickTimes } from '../../support/processes/quick-daemon.ts';
import { until } from '../../support/until.ts';

const MIRRORED = '{"id":9,"capabilities":{"syncedCanaries":true,"cached":true}}';

async function start(local: Store, directory: ConfigDirectory, times: QuickTimes): Promise<Daemon> {
  const flags = [...harborFlags(local, directory), '--api-serve-addr='];
  const daemon = await startDaemon('kvstoremesh', flags, quickProgram(times));
  onTestFinished(() => daemon.kill());
  await daemon.ready();
  return daemon;
}

describe.skipIf(etcdVersions().length === 0)('keys of a cluster that is not configured', () => {
  test('are removed as if its file had just been removed, in any state, and nothing else is', async () => {
    await using local = await startLocal();
    const kept = {
      'cilium/cluster-config/harbor': '{"id":200}',
      'cilium/cluster-config/neighbour': '{"id":12,"capabilities":{}}',
      'cilium/cluster-config/odd': 'not JSON',
      'cilium/cache/nodes/v1/neighbour/n': 'of one that writes here itself',
      'cilium/cache/nodes/v1/odd/n': 'of one that cannot be told',
      'cilium/cache/nodes/v1/Upper/n': 'no name of a cluster',
      'cilium/cache/nodes/v1/a-file': 'no name at all',
      'cilium/state/nodes/v1/gone/n': 'not mirrored',
      'cilium/synced/harbor/cilium/state/nodes/v1': 'own',
    };
    const gone = {
      'cilium/cluster-config/lima': MIRRORED,
      'cilium/cache/nodes/v1/lima/n': 'a whole one',
      'cilium/synced/lima/cilium/cache/nodes/v1': 'x',
      'cilium/cache/ip/v1/cut-short/10.0.0.1': 'half drained',
      'cilium/synced/only-canaries/cilium/cache/nodes/v1': 'x',
      'cilium/cache/identities/v1/old/value/x': 'of an old version',
      'cilium/cluster-config/only-config': MIRRORED,
    };
    await local.put({ ...kept, ...gone });
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { graceMs: 400 });
    await mesh.removeOrphans();
    expect(mesh.remotes.draining).toEqual(['cut-short', 'lima', 'old', 'only-canaries', 'only-config']);
    expect(mesh.remotes.all.map(({ name }) => name)).toEqual(['berlin']);
    await until('its config is gone', async () => !('cilium/cluster-config/lima' in (await local.dump())));
    expect(await local.dump('cilium/cache/nodes/v1/lima/')).toEqual({ 'cilium/cache/nodes/v1/lima/n': 'a whole one' });
    await until('all are drained', () => mesh.remotes.draining.length === 0);
    const others = Object.entries(await local.dump()).filter(([key]) => !key.includes('berlin'));
    expect(Object.fromEntries(others)).toEqual(kept);
    expect(await local.dump('cilium/cache/services/v1/berlin/')).not.toEqual({});
  });

  test('stay where nothing is to be drained', async () => {
    await using local = await startLocal();
    await local.put({ 'cilium/cluster-config/lima': MIRRORED, 'cilium/cache/nodes/v1/lima/n': 'x' });
    await using mesh = new Mesh(local, { graceMs: undefined });
    await mesh.removeOrphans();
    expect(mesh.remotes.draining).toEqual([]);
    expect(Object.keys(await local.dump()).length).toBe(2);
  });

  test('are named once each, however many keys there are of it', async () => {
    await using local = await startLocal();
    for (let batch = 0; batch < 20; batch += 1) {
      const keys = Array.from({ length: 100 }, (_, index) => [`cilium/cache/ip/v1/lima/10.${batch}.0.${index}`, 'ip']);
      await local.put(Object.fromEntries(keys));
    }
    await using mesh = new Mesh(local);
    await mesh.removeOrphans();
    expect(mesh.remotes.draining).toEqual(['lima']);
    await mesh.holds({});
  });

  test('are found without a read that passes over the keys of clusters that are configured', async () => {
    await using local = await startLocal();
    const keys = (cluster: string) =>
      Array.from({ length: 100 }, (_, at) => [`cilium/cache/ip/v1/${cluster}/10.0.0.${at}`, 'ip']);
    for (const cluster of ['berlin', 'lima', 'lima-2', 'oslo']) await local.put(Object.fromEntries(keys(cluster)));
    const passed: number[] = [];
    const counting = new Proxy(local.client, {
      get: (client, property) =>
        property === 'list'
          ? async function* (...args: Parameters<EtcdClient['list']>) {
              for await (const page of client.list(...args)) {
                passed.push(page.total);
                yield page;
              }
            }
          : Reflect.get(client, property, client),
    });
    const { signal } = new AbortController();
    const known = ['oslo', 'berlin', 'lima', 'not-connected-yet'];
    expect(await orphanedClusters({ local: counting, known, signal })).toEqual(new Set(['lima-2']));
    // Of the orphan alone.
    expect(Math.max(...passed)).toBe(100);
  });

  test('are removed by the next run where a drain was killed, once it was started for long enough', async () => {
    const directory = new ConfigDirectory();
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    directory.add(berlin);
    const first = await start(local, directory, { drainGraceMs: 600_000, orphansMs: 600_000 });
    await until('it is mirrored', async () => Object.keys(await local.dump('cilium/synced/berlin/')).length === 6);
    directory.remove(berlin.name);
    await until('it is being drained', async () => !('cilium/cluster-config/berlin' in (await local.dump())));
    await first.kill();
    expect(Object.keys(await local.dump('cilium/cache/')).length).toBe(6);
    await start(local, directory, { drainGraceMs: 100, orphansMs: 100 });
    await until('nothing is left', async () => !Object.keys(await local.dump()).some((key) => key.includes('berlin')), {
      withinMs: 45_000,
    });
  });
});
