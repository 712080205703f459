import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { listAll, soon } from '../support/etcd/etcd-client.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { type Remote, type Store, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until, within } from '../support/until.ts';

let directory: ConfigDirectory;
const daemons: KvstoremeshRun[] = [];

beforeEach(() => {
  directory = new ConfigDirectory();
});
afterEach(() => Promise.all(daemons.splice(0).map((daemon) => daemon.stop())));

async function start(local: Store, ...flags: string[]): Promise<KvstoremeshRun> {
  const daemon = await KvstoremeshRun.start(local, directory, { flags });
  daemons.push(daemon);
  return daemon;
}

const configure = (remote: Remote, name = remote.name) => directory.add(remote, name);
const clusters = (daemon: KvstoremeshRun) => daemon.clusters();
const readyz = (daemon: KvstoremeshRun) => daemon.readyz();

describe.skipIf(etcdVersions().length === 0)('the daemon', () => {
  test('takes a lease of whole seconds where the flag has a fraction, as the original', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    await berlin.fill('1');
    await berlin.announce();
    configure(berlin);
    const daemon = await start(local, '--kvstore-lease-ttl=25.5s');
    await until('it is ready', async () => (await readyz(daemon)) === '200 Ready');
    const key = 'cilium/cache/nodes/v1/berlin/node-1';
    const found = await until('a key is mirrored', () => local.client.get(keyOf(key), { signal: AbortSignal.timeout(60_000) }));
    const body = JSON.stringify({ ID: String(found.lease) });
    const answer = await fetch(`${local.process.endpoint}/v3/lease/timetolive`, { method: 'POST', body });
    expect(await answer.json()).toMatchObject({ grantedTTL: '25' });
  });

  test('leads on a lease of the duration of the flag', async () => {
    await using local = await startLocal();
    await start(local, '--leader-election-lease-duration=7.5s');
    const locks = async () => (await listAll(local.client, 'cilium/kvstoremesh-lock/'))[0]?.lease;
    const lease = await until('it is in the queue', locks);
    expect((await local.client.leaseTimeToLive(lease, soon()))?.grantedTtl).toBe(7);
  });

  test('is ready once the clusters of its start are mirrored, and reports their status', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7);
    await berlin.fill('1');
    configure(berlin);
    configure(berlin, 'harbor');
    configure(berlin, 'Not_A_Name');
    const daemon = await start(local);
    await until('it waits for canaries', async () => (await clusters(daemon))[0]?.connected);
    expect(await readyz(daemon)).toBe('500 NotReady');
    await berlin.announce();
    await until('it is ready', async () => (await readyz(daemon)) === '200 Ready');
    expect(await clusters(daemon)).toEqual([
      {
        config: {
          'cluster-id': 7,
          'endpoint-slices-export-mode': 'services-and-endpointslices',
          required: true,
          retrieved: true,
          'service-exports-enabled': true,
          'sync-canaries': true,
        },
        connected: true,
        // The identity 1 is none of the cluster's.
        'import-findings': { 'identity-range': 1 },
        'last-failure': '0001-01-01T00:00:00.000Z',
        name: 'berlin',
        'num-endpoint-slices': 1,
        'num-endpoints': 1,
        'num-identities': 1,
        'num-nodes': 1,
        'num-service-exports': 1,
        'num-shared-services': 1,
        ready: true,
        status: expect.stringMatching(
          /^etcd: 1\/1 connected, leases=0, lock leases=0, has-quorum=true: endpoint status checks are disabled, ID: [0-9a-f]+$/,
        ),
        synced: {
          'endpoint-slices': true,
          endpoints: true,
          identities: true,
          nodes: true,
          'service-exports': true,
          services: true,
        },
      },
    ]);
    expect(JSON.parse((await daemon.get('api', '/v1/import-guard')).body)).toEqual({
      findings: [
        {
          cluster: 'berlin',
          key: 'cilium/cache/identities/v1/berlin/id/1',
          kind: 'identity-range',
          problem: expect.stringMatching(/outside the range/),
        },
      ],
      mode: 'warn',
    });
    const { body } = await daemon.get('metrics', '/metrics');
    expect(body).toContain('cilium_kvstoremesh_remote_clusters 1\n');
    expect(body).toContain('cilium_kvstoremesh_remote_cluster_bounds{bound="keys"} 1000000\n');
    expect(body).toContain('cilium_kvstoremesh_remote_cluster_readiness_status{target_cluster="berlin"} 1\n');
    expect(body).toContain('cilium_kvstoremesh_remote_cluster_failures{target_cluster="berlin"} 0\n');
    expect(body).toMatch(/^cilium_kvstoremesh_bootstrap_seconds \d/m);
  });

  test('follows its directory while it runs', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    const daemon = await start(local, '--disable-drain-on-disconnection');
    await until('it is ready without any cluster', async () => (await readyz(daemon)) === '200 Ready');
    expect((await daemon.get('api', '/v1/cluster')).body).toBe('[]\n');
    configure(berlin);
    await until('it is mirrored', async () => (await clusters(daemon))[0]?.ready);
    directory.write('berlin', 'endpoints: [');
    await until('the error is told', async () =>
      String((await clusters(daemon))[0]?.reason).includes(`${directory.fileOf('berlin')}:`),
    );
    configure(berlin);
    await until('it is mirrored again', async () => (await clusters(daemon))[0]?.ready);
    directory.remove('berlin');
    await until('it is gone', async () => (await clusters(daemon)).length === 0);
    const series = async () => (await daemon.get('metrics', '/metrics')).body;
    await until('its series are gone', async () => !(await series()).includes('berlin'));
    expect(await readyz(daemon)).toBe('200 Ready');
  });

  test('waits for a cluster that cannot be reached only for its time', async () => {
    await using local = await startLocal();
    await using gone = await startFullRemote('gone', 8);
    await gone.process.kill();
    configure(gone);
    const daemon = await start(local, '--per-cluster-ready-timeout=1s');
    await until('it says so', async () => (await readyz(daemon)) === '500 NotReady');
    await until('it is ready', async () => (await readyz(daemon)) === '200 Ready');
    expect((await clusters(daemon))[0]?.connected).toBeUndefined();
  });

  test('stops at once and leaves what it wrote', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    configure(berlin);
    const daemon = await start(local, '--enable-heartbeat');
    await until('it is ready', async () => (await readyz(daemon)) === '200 Ready');
    const all = await local.dump();
    const locks = Object.keys(all).filter((key) => key.startsWith('cilium/kvstoremesh-lock/'));
    expect(locks.length).toBe(1);
    const before = Object.fromEntries(Object.entries(all).filter(([key]) => !locks.includes(key)));
    expect(before['cilium/.heartbeat']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    await within('it stops', daemon.stop(), 5_000);
    expect(await local.dump()).toEqual(before);
    expect(before['cilium/.has-cluster-config']).toBe('true');
    expect(Object.keys(before).length).toBe(15);
  });

  test('does not start without its directory, and names the flag', async () => {
    await using local = await startLocal();
    const daemon = await start(local, `--clustermesh-config=${directory.path}/missing`);
    await expect(daemon.ended).rejects.toThrow(/--clustermesh-config: .*missing cannot be read/);
  });
});
