import { afterAll, expect } from 'vitest';
import { callEtcd, makeRoom, readEtcd } from '../../support/etcd/etcd-gateway.ts';
import { Mesh, type Store } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';
import { ADDRESSES, disconnect, type FaultRig, faultTest, putAddresses, said } from './fault-test.ts';
import { watchForLeaks } from './leaks.ts';

const FAILING = 'writes to the local etcd are failing; retrying';
const WORKING = 'writes to the local etcd succeed again';
const REFUSED = 'key rejected; other keys are not affected';
const NODES = 'cilium/state/nodes/v1/berlin/';
const CONCURRENT = { isConcurrent: true };

const leaks = watchForLeaks();
afterAll(() => leaks.none());

faultTest(
  'fault 19: a local etcd that comes back empty is filled from memory while the remote is away, canaries after the data',
  CONCURRENT,
  async (rig) => {
    const { local, berlin, oracle } = rig;
    await putAddresses(berlin, 1_000, 'x');
    await oracle.converged();
    await disconnect(rig);
    await local.process.restart({ wipe: true });
    local.client.forgetCluster();
    await oracle.converged();
    await until('all canaries are back', async () => Object.keys(await local.dump('cilium/synced/berlin/')).length === 6);
    await oracle.converged();
    expect(Object.keys(await local.dump('cilium/cluster-config/'))).toEqual(['cilium/cluster-config/berlin']);
  },
);

faultTest(
  'fault 20: keys whose lease is revoked are back at once on another one, and those of others are not touched',
  CONCURRENT,
  async ({ local, berlin, oracle, lines }) => {
    await local.put({ 'cilium/state/nodes/v1/harbor/own': 'of the other daemon' });
    await putAddresses(berlin, 2_500, 'x');
    await oracle.converged();
    const [before, own] = [await local.revision(), await local.revision('cilium/state/nodes/v1/harbor/own')];
    const [first = ''] = await leasesOf(local);
    oracle.pardon(await revoke(local, first));
    await oracle.converged();
    expect(said(lines, 'lease lost; writing its keys again')).toBe(1);
    const entries = await readEtcd(local.process.endpoint);
    const touched = entries.filter(({ modRevision }) => Number(modRevision) > before);
    expect(touched.length).toBeLessThanOrEqual(1_000);
    expect(await local.revision('cilium/state/nodes/v1/harbor/own')).toBe(own);
    expect(await leasesOf(local)).not.toContain(first);
  },
);

faultTest(
  'fault 22: a local etcd out of space is named in the status, is still read, and takes everything once it has room',
  { ...CONCURRENT, local: { args: ['--quota-backend-bytes=8388608'] } },
  async (rig) => {
    const { local, berlin, mesh, oracle, lines } = rig;
    await oracle.converged();
    await until('the database is full', async () => {
      const junk = Object.fromEntries([0].map(() => [`unrelated/${Math.random()}`, Buffer.alloc(1_000_000, 'x')]));
      return local.put(junk).then(
        () => false,
        (error: Error) => error.message.includes('quota'),
      );
    });
    await berlin.fill('2');
    await berlin.put({ [`${NODES}node-1`]: 'changed' });
    await mesh.until('the status names it', 'berlin', ({ reason }) =>
      reason?.includes('the etcd database has reached its quota'),
    );
    expect(mesh.status('berlin')).toMatchObject({ connected: true, ready: true, 'num-nodes': 2 });
    expect(said(lines, FAILING)).toBe(1);
    expect(await mesh.registry.metrics()).toMatch(/kvstore_sync_errors_total\{[^}]*\} [1-9]/);
    await berlin.delete(`${NODES}node-2`);
    for (const key of Object.keys(await local.dump('unrelated/'))) oracle.pardon(await local.delete(key));
    await makeRoom(local.process.endpoint, await local.revision());
    await oracle.converged();
    await mesh.until('all is well', 'berlin', ({ reason }) => reason === undefined);
    expect(said(lines, WORKING)).toBe(1);
  },
);

faultTest(
  'fault 23: a local etcd that stands still for ten seconds keeps no more waiting than there are keys, and catches up',
  CONCURRENT,
  async (rig) => {
    const { local, berlin, mesh, oracle } = rig;
    await putAddresses(berlin, 300, 'before');
    await oracle.converged();
    local.process.pause();
    const endMs = performance.now() + 10_000;
    try {
      const most = await mostPending(rig, async () => {
        for (let round = 0; performance.now() < endMs; round += 1) {
          await putAddresses(berlin, 300, `round ${round}`);
          await berlin.delete(`${ADDRESSES}10.0.0.${round % 250}`);
        }
      });
      expect(most).toBeLessThanOrEqual(2 * 306);
      expect(mesh.status('berlin')).toMatchObject({ connected: true, ready: true });
    } finally {
      local.process.resume();
    }
    await oracle.converged();
  },
);

faultTest(
  'fault 24: a value that etcd rejects is skipped with its key and size, and all others are written in smaller transactions',
  {
    ...CONCURRENT,
    local: { args: ['--max-txn-ops=16', '--max-request-bytes=100000'] },
    remote: { args: ['--max-request-bytes=4194304'] },
  },
  async ({ local, berlin, mesh, oracle, lines }) => {
    const [medium, large] = [`${NODES}medium`, `${NODES}large`];
    await berlin.put({ [medium]: Buffer.alloc(300_000, 'm') });
    await berlin.put({ [large]: Buffer.alloc(2_000_000, 'l') });
    await putAddresses(berlin, 500, 'x'.repeat(2_000));
    await until('all others are there', async () => Object.keys(await local.dump('cilium/cache/ip/')).length === 501);
    await until('both are refused', () => said(lines, REFUSED) === 2);
    const refused = lines.filter(({ msg }) => msg === REFUSED);
    const fields = { scope: 'nodes/v1', cluster: 'berlin', reason: 'value_too_large' };
    expect(refused).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ ...fields, key: 'cilium/cache/nodes/v1/berlin/medium', valueBytes: 300_000 }),
        expect.objectContaining({ ...fields, key: 'cilium/cache/nodes/v1/berlin/large', valueBytes: 2_000_000 }),
      ]),
    );
    expect(await mesh.registry.metrics()).toMatch(
      /publisher_rejected_keys_total\{scope="nodes\/v1",source_cluster="berlin",reason="value_too_large"\} 2/,
    );
    await berlin.put({ [medium]: 'small now' });
    await berlin.delete(large);
    await oracle.converged();
  },
);

faultTest(
  'fault 25: a slow local etcd gets the last value of each key, once, and a deletion beats what was put before',
  CONCURRENT,
  async (rig) => {
    const { localProxy, berlin, mesh, oracle } = rig;
    await oracle.converged();
    localProxy.delay(100);
    const most = await mostPending(rig, async () => {
      for (let round = 0; round < 40; round += 1) await putAddresses(berlin, 300, `round ${round}`);
      await berlin.delete(...Array.from({ length: 100 }, (_, index) => `${ADDRESSES}10.0.0.${2 * index}`));
      await oracle.converged();
    });
    expect(most).toBeLessThanOrEqual(2 * 306);
    const written = Number((await mesh.registry.metrics()).match(/publisher_batch_operations_sum (\d+)/)?.[1]);
    expect(written).toBeLessThan(12_000);
    process.stdout.write(`fault 25: 12100 changes of the remote were ${written} of the local etcd\n`);
  },
);

faultTest(
  'fault 27: two that mirror the same without a lock agree: neither removes what the other wrote, and both come to rest',
  { ...CONCURRENT, auditIntervalMs: 100, oracle: { hasSeveralWriters: true } },
  async ({ local, berlin, mesh, oracle }) => {
    await using other = await Mesh.mirroring(local, [berlin], { auditIntervalMs: 100 });
    for (let round = 0; round < 5; round += 1) {
      await putAddresses(berlin, 100, `round ${round}`, 50 * round);
      await berlin.delete(`${ADDRESSES}10.0.0.${round}`);
    }
    await oracle.converged();
    await until('neither writes', () => mesh.publisher.stats.pending + other.publisher.stats.pending === 0);
    const before = await atRest(local, [mesh, other]);
    expect(await atRest(local, [mesh, other])).toBe(before);
  },
);

/** Runs `body` and returns the largest number of keys that waited during it; one in flight may wait again. */
async function mostPending({ mesh }: FaultRig, body: () => Promise<void>): Promise<number> {
  let most = 0;
  const watching = setInterval(() => {
    most = Math.max(most, mesh.publisher.stats.pending);
  }, 5);
  try {
    await body();
  } finally {
    clearInterval(watching);
  }
  return most;
}

/** The revision of the store once each mesh has audited: a stranger's key that it removes proves that it did. */
async function atRest(local: Store, meshes: readonly Mesh[]): Promise<number> {
  for (const _ of meshes) {
    const stranger = 'cilium/cache/nodes/v1/berlin/stranger';
    await local.put({ [stranger]: 'x' });
    await until('an audit has found it', async () => (await local.revision(stranger)) === 0);
  }
  // Each foreign key is a put and a deletion, by either of the publishers.
  return (await local.revision()) - strangers(local, 2 * meshes.length);
}

const strange = new WeakMap<Store, number>();

function strangers(local: Store, more: number): number {
  const sum = (strange.get(local) ?? 0) + more;
  strange.set(local, sum);
  return sum;
}

async function leasesOf(store: Store): Promise<string[]> {
  const { leases = [] } = (await callEtcd(store.process.endpoint, 'lease/leases', {})) as {
    readonly leases?: readonly { readonly ID: string }[];
  };
  return leases.map(({ ID }) => ID);
}

/** Ends a lease; the revision at which its keys went. */
async function revoke(store: Store, lease: string): Promise<number> {
  const { header } = (await callEtcd(store.process.endpoint, 'lease/revoke', { ID: lease })) as {
    readonly header: { readonly revision: string };
  };
  return Number(header.revision);
}
