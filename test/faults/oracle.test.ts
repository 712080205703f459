import { describe, expect, test } from 'vitest';
import { callEtcd } from '../support/etcd/etcd-gateway.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { Mesh, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../support/kvstoremesh/oracle.ts';

const NODE = 'cilium/cache/nodes/v1/berlin/node-1';
const CANARY = 'cilium/synced/berlin/cilium/cache/nodes/v1';

describe.skipIf(etcdVersions().length === 0)('the oracle', () => {
  test('agrees with a mirror that is right, through a restart, an emptied store and a compaction of either side', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oracle = await observe(local, [berlin]);
    await using _mesh = await Mesh.mirroring(local, [berlin]);
    await oracle.converged();
    await berlin.fill('2');
    await berlin.process.restart();
    await local.process.restart({ wipe: true });
    await berlin.compact();
    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-2': 'changed' });
    await berlin.delete('cilium/state/nodes/v1/berlin/node-1');
    await oracle.converged();
    await local.compact();
    await oracle.converged();
  });

  test('names each thing that is wrong', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const lease = await local.client.grantLease(600, { signal: AbortSignal.timeout(60_000) });
    const put = (key: string, value: string) =>
      callEtcd(local.process.endpoint, 'kv/put', {
        key: Buffer.from(key).toString('base64'),
        value: Buffer.from(value).toString('base64'),
        lease: String(lease),
      });
    const rest = async () => {
      for (const [key, value] of Object.entries(berlin.keys('1', 'cache'))) await put(key, value);
    };
    await using oracle = await observe(local, [berlin]);

    await put(CANARY, 'too early');
    await rest();
    await expect(oracle.converged()).rejects.toThrow(`put of ${CANARY} at revision 2: ${NODE} is not as listed yet`);

    await put(NODE, 'never there');
    await rest();
    await expect(oracle.converged()).rejects.toThrow('never so in the source');

    await local.delete(NODE);
    await rest();
    await expect(oracle.converged()).rejects.toThrow(`deletion of ${NODE}`);

    oracle.pardon(await local.delete(NODE));
    await rest();
    await oracle.converged();

    await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': 'new' });
    await put(NODE, 'new');
    await put(NODE, 'node 1');
    await put(NODE, 'new');
    await expect(oracle.converged()).rejects.toThrow('out of order in the source');

    await put('cilium/cache/nodes/v1/other/x', 'x');
    await expect(oracle.converged()).rejects.toThrow(/other\/x at revision \d+: the key has another owner/);

    await local.put({ [NODE]: 'of the test' });
    await expect(oracle.converged(200)).rejects.toThrow(`"source":"new","mirror":"of the test"`);
  });
});
