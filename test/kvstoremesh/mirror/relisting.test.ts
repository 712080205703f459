import { describe, expect, test } from 'vitest';
import type { EtcdClient } from '../../../src/shared/etcd/types.ts';
import { overriding } from '../../support/etcd/etcd-client.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';

/** A client whose watches lose every event of keys that contain `part`, as releases of etcd have done. */
function losing(client: EtcdClient, part: string): EtcdClient {
  return overriding(client, {
    async *watch(...[prefix, options]: Parameters<EtcdClient['watch']>) {
      for await (const batch of client.watch(prefix, options)) {
        if (batch.kind !== 'events') yield batch;
        else yield { ...batch, events: batch.events.filter(({ key }) => !key.includes(part)) };
      }
    },
  });
}

describe.skipIf(etcdVersions().length === 0)('a remote that is listed once in a while', () => {
  test('ends up equal although its watches lose events, and what has not changed is not written', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { relistMs: 150, around: (client) => losing(client, 'lost') });
    const before = await local.revision('cilium/cache/nodes/v1/berlin/node-1');
    const ip = 'cilium/state/ip/v1/default/lost';
    await berlin.put({ [ip]: '1', 'cilium/state/nodes/v1/berlin/told': '1' });
    const mirrored = { ...berlin.keys('1', 'cache'), 'cilium/cache/nodes/v1/berlin/told': '1' };
    await mesh.holds({ ...mirrored, 'cilium/cache/ip/v1/berlin/lost': '1' });
    await berlin.put({ [ip]: '2' });
    await mesh.holds({ ...mirrored, 'cilium/cache/ip/v1/berlin/lost': '2' });
    await berlin.delete(ip);
    await mesh.holds(mirrored);
    expect(await local.revision('cilium/cache/nodes/v1/berlin/node-1')).toBe(before);
    expect(mesh.status('berlin')?.ready).toBe(true);
  });
});
