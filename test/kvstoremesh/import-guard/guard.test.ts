import { describe, expect, test } from 'vitest';
import { importGuardReport } from '../../../src/kvstoremesh/import-guard/report.ts';
import { registerRemoteMetrics } from '../../../src/kvstoremesh/status/remote-metrics.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { Mesh, type Remote, startLocal, startRemote } from '../../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../../support/until.ts';

const range = (id: number) => id * 65_536;
const entry = (ip: string, identity: number) => JSON.stringify({ IP: ip, Mask: null, HostIP: '', ID: identity });
const service = (cluster: string, clusterID: number) => JSON.stringify({ cluster, namespace: 'shop', name: 'x', clusterID });
const node = (Cluster: string, ClusterID: number, IP: string) =>
  JSON.stringify({ Name: 'n', Cluster, IPv4AllocCIDR: { IP, Mask: '////AA==' }, ClusterID });

/** A remote with nothing to be found. */
async function honest(name: string, id: number): Promise<Remote> {
  const remote = await startRemote(name);
  await remote.configure(id);
  await remote.announce();
  await remote.put({
    [`cilium/state/nodes/v1/${name}/own`]: node(name, id, `10.${id}.0.0`),
    [`cilium/state/services/v1/${name}/shop/own`]: service(name, id),
    [`cilium/state/identities/v1/id/${range(id) + 5}`]: 'k8s:app=x;',
    [`cilium/state/ip/v1/default/10.${id}.0.1`]: entry(`10.${id}.0.1`, range(id) + 5),
    [`cilium/state/ip/v1/default/10.${id}.0.2`]: entry(`10.${id}.0.2`, 1),
  });
  return remote;
}

/** Claims of a remote on other clusters, and the four keys of the findings. */
const LIES = {
  'cilium/state/nodes/v1/berlin/liar': node('oslo', 7, '10.7.99.0'),
  'cilium/state/services/v1/berlin/shop/liar': service('berlin', 8),
  [`cilium/state/identities/v1/id/${range(8) + 1}`]: 'k8s:app=liar;',
  'cilium/state/ip/v1/default/10.7.0.99': entry('10.7.0.99', 9),
  'cilium/state/ip/v1/default/10.7.0.98': entry('10.7.0.98', range(200)),
};
const FOUND = [
  ['identity-range', `cilium/cache/identities/v1/berlin/id/${range(8) + 1}`, 'oslo'],
  ['identity-range', 'cilium/cache/ip/v1/berlin/10.7.0.98', 'harbor'],
  ['foreign-cluster', 'cilium/cache/nodes/v1/berlin/liar', 'oslo'],
  ['foreign-cluster', 'cilium/cache/services/v1/berlin/shop/liar', 'oslo'],
];

function mirrored(remote: Record<string, string>, name: string): Record<string, string> {
  const renamed = (key: string) =>
    key
      .replace('cilium/state/', 'cilium/cache/')
      .replace('ip/v1/default/', `ip/v1/${name}/`)
      .replace('identities/v1/id/', `identities/v1/${name}/id/`);
  return Object.fromEntries(Object.entries(remote).map(([key, value]) => [renamed(key), value]));
}

function found(mesh: Mesh): unknown[] {
  const remotes = mesh.remotes.all.flatMap(({ name, guard }) => (guard === undefined ? [] : [[name, guard.findings] as const]));
  const { findings } = importGuardReport('warn', remotes);
  return findings.map(({ kind, key, 'other-cluster': other }) => [kind, key, other]).sort();
}

async function finds(mesh: Mesh, wanted: unknown[][]): Promise<void> {
  const sorted = JSON.stringify([...wanted].sort());
  await until(`the guard finds ${wanted.length}`, () => JSON.stringify(found(mesh)) === sorted, { status: () => found(mesh) });
}

describe.skipIf(etcdVersions().length === 0)('the import guard', () => {
  test.each(['off', 'warn', 'drop'] as const)(
    '%s: valid keys are mirrored, and others according to the mode',
    async (importGuard) => {
      await using local = await startLocal();
      await using berlin = await honest('berlin', 7);
      await using oslo = await honest('oslo', 8);
      await using mesh = new Mesh(local, { importGuard });
      registerRemoteMetrics(mesh.registry, () => mesh.remotes.all, mesh.limits);
      mesh.add(oslo);
      await mesh.synced('oslo');
      await berlin.put(LIES);
      mesh.add(berlin);
      await mesh.synced('berlin');
      const all = {
        ...mirrored(await berlin.dump('cilium/state/'), 'berlin'),
        ...mirrored(await oslo.dump('cilium/state/'), 'oslo'),
      };
      if (importGuard === 'drop') for (const [, key] of FOUND) delete all[String(key)];
      await mesh.holds(all);
      await finds(mesh, importGuard === 'off' ? [] : FOUND);
      if (importGuard === 'off') return;

      expect(mesh.status('berlin')).toMatchObject({ 'import-findings': { 'identity-range': 2, 'foreign-cluster': 2 } });
      expect(mesh.status('oslo')).not.toHaveProperty('import-findings');
      const scrape = await mesh.registry.metrics();
      expect(scrape).toMatch(/^test_import_guard_findings\{target_cluster="berlin",kind="identity-range"\} 2$/m);
      expect(scrape).toMatch(/^test_import_guard_findings_total\{target_cluster="berlin",kind="foreign-cluster"\} 2$/m);
      const dropped = importGuard === 'drop' ? 4 : 0;
      expect(scrape).toMatch(new RegExp(`^test_import_guard_dropped_values_total\\{target_cluster="berlin"\\} ${dropped}$`, 'm'));

      await berlin.put({ 'cilium/state/nodes/v1/berlin/liar': node('berlin', 7, '10.7.99.0') });
      await berlin.delete(`cilium/state/identities/v1/id/${range(8) + 1}`);
      await finds(mesh, [FOUND[1], FOUND[3]] as unknown[][]);
      mesh.remove('berlin');
      await finds(mesh, []);
      expect(await mesh.registry.metrics()).not.toMatch(/import_guard.*berlin/);
    },
  );

  test('drop: a key whose value becomes a lie is gone, and comes back when it is mended', async () => {
    await using local = await startLocal();
    await using berlin = await honest('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin], { importGuard: 'drop' });
    const honestKeys = mirrored(await berlin.dump('cilium/state/'), 'berlin');
    const { 'cilium/cache/services/v1/berlin/shop/own': _, ...others } = honestKeys;
    await berlin.put({ 'cilium/state/services/v1/berlin/shop/own': service('oslo', 7) });
    await mesh.holds(others);
    await berlin.compact();
    berlin.proxy.cut();
    await mesh.until('berlin is listed again', 'berlin', ({ ready }) => ready);
    await mesh.holds(others);
    await berlin.put({ 'cilium/state/services/v1/berlin/shop/own': service('berlin', 7) });
    await mesh.holds(honestKeys);
    await finds(mesh, []);
  });

  test('reports addresses and pod CIDRs that two clusters claim, and drops neither', async () => {
    await using local = await startLocal();
    await using berlin = await honest('berlin', 7);
    await using oslo = await honest('oslo', 8);
    await using mesh = new Mesh(local, { importGuard: 'drop' });
    await berlin.put({
      'cilium/state/ip/v1/default/10.8.0.1': entry('10.8.0.1', range(7)),
      'cilium/state/ip/v1/default/fd00::1': entry('fd00::1', range(7)),
      'cilium/state/nodes/v1/berlin/wide': node('berlin', 7, '10.8.0.0'),
    });
    await oslo.put({ 'cilium/state/ip/v1/default/fd00:0::1': entry('fd00::1', range(8)) });
    mesh.add(berlin);
    mesh.add(oslo);
    await mesh.synced('berlin');
    await mesh.synced('oslo');
    await mesh.holds({
      ...mirrored(await berlin.dump('cilium/state/'), 'berlin'),
      ...mirrored(await oslo.dump('cilium/state/'), 'oslo'),
    });
    const shared = (address: string) => [
      ['duplicate-ip', `cilium/cache/ip/v1/berlin/${address}`, 'oslo'],
      ['duplicate-ip', `cilium/cache/ip/v1/oslo/${address}`, 'berlin'],
    ];
    const overlap = [
      ['pod-cidr-overlap', 'cilium/cache/nodes/v1/berlin/wide', 'oslo'],
      ['pod-cidr-overlap', 'cilium/cache/nodes/v1/oslo/own', 'berlin'],
    ];
    await finds(mesh, [...shared('10.8.0.1'), ...shared('fd00::1'), ...overlap]);
    await oslo.delete('cilium/state/ip/v1/default/fd00:0::1');
    await berlin.delete('cilium/state/nodes/v1/berlin/wide');
    await finds(mesh, shared('10.8.0.1'));
    // Lost with the watch position: only the new listing shows it.
    await berlin.proxy.disconnect();
    await berlin.delete('cilium/state/ip/v1/default/10.8.0.1');
    await berlin.compact();
    await berlin.proxy.heal();
    await finds(mesh, []);
  });

  test('passes on what it cannot read, and counts it', async () => {
    await using local = await startLocal();
    await using berlin = await honest('berlin', 7);
    await using mesh = new Mesh(local, { importGuard: 'drop' });
    await berlin.put({
      'cilium/state/nodes/v1/berlin/deep': '['.repeat(100_000),
      'cilium/state/services/v1/berlin/shop/cut': '{"cluster":"osl',
      'cilium/state/ip/v1/default/10.0.0.1': '{"ID":"\u0000"}',
    });
    mesh.add(berlin);
    await mesh.synced('berlin');
    await mesh.holds(mirrored(await berlin.dump('cilium/state/'), 'berlin'));
    const guard = mesh.find('berlin')?.guard;
    expect(guard?.unchecked('undecodable')).toBeGreaterThanOrEqual(3);
    await finds(mesh, []);
  });
});
