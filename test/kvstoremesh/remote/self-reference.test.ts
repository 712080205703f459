/** Whether a remote's address leads back to the local etcd: detected by the store, not by properties that two stores share. */
import { describe, expect, test } from 'vitest';
import { clusterConfigKey } from '../../../src/shared/etcd/keyspace.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, type Store, startFullRemote, startLocal, startRemote } from '../../support/kvstoremesh/mesh-fixture.ts';

const MIRRORED = '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255}}';
const CONFIG = clusterConfigKey('berlin');
/** Two etcds that were set up with the same token, as by the same chart, have the same ID. */
const ALIKE = { clusterToken: 'clustermesh-apiserver' };

async function idOf(store: Store): Promise<string | undefined> {
  await store.dump();
  return store.client.state.clusterId;
}

describe.skipIf(etcdVersions().length === 0)('a remote whose etcd has the ID of the local one', () => {
  test('is mirrored although its cluster config has the revision of our copy', async () => {
    await using local = await startLocal(ALIKE);
    await using berlin = await startFullRemote('berlin', 7, ALIKE);
    expect(await idOf(berlin)).toBe(await idOf(local));
    await local.put({ [CONFIG]: MIRRORED });
    expect(await local.revision(CONFIG)).toBe(await berlin.revision(CONFIG));
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.holds(berlin.keys('1', 'cache'));
    await mesh.synced('berlin');
  });

  test('is mirrored although it is a mirror whose cluster config is ours to the byte, since its heartbeat is another one', async () => {
    await using local = await startLocal(ALIKE);
    await using berlin = await startRemote('berlin', ALIKE);
    for (const [store, time] of [[local, '10:00:01'] as const, [berlin, '10:00:02'] as const]) {
      await store.put({ [CONFIG]: MIRRORED });
      await store.put({ 'cilium/.heartbeat': `2026-02-03T${time}Z` });
    }
    expect(await local.revision('cilium/.heartbeat')).toBe(await berlin.revision('cilium/.heartbeat'));
    await berlin.put({ 'cilium/cache/nodes/v1/berlin/n': 'node' });
    const kinds = ['nodes', 'identities', 'ip', 'services', 'endpointslices', 'serviceexports'];
    await berlin.put(Object.fromEntries(kinds.map((kind) => [`cilium/synced/berlin/cilium/cache/${kind}/v1`, 'x'])));
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.holds({ 'cilium/cache/nodes/v1/berlin/n': 'node' });
  });

  test('is refused where it is the local one, also while its heartbeat is written', async () => {
    await using local = await startLocal(ALIKE);
    await local.put({ [CONFIG]: MIRRORED, 'cilium/.heartbeat': '0' });
    await using mesh = new Mesh(local);
    mesh.addFile('berlin', `endpoints: ["${local.process.endpoint}"]\n`);
    for (let time = 1; time < 50; time += 1) await local.put({ 'cilium/.heartbeat': `${time}` });
    await mesh.until('it is refused', 'berlin', ({ reason }) => reason?.includes('is the address of the local etcd'));
    expect(await local.dump('cilium/cache/')).toEqual({});
  });
});
