import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { reportText } from '../../src/mesh/connect/report-text.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { HELM, type Mesh, meshFixture } from './mesh-fixture.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const KVSTOREMESH = 'cilium-kvstoremesh';
const CLUSTERMESH = 'cilium-clustermesh';

const missing = providerMissing('real');

/** Fingerprints and ClusterIPs differ in each run. */
function steady(text: string, { namespace }: Mesh): string {
  return text
    .replaceAll(/([0-9A-F]{2}:){31}[0-9A-F]{2}/g, 'FINGERPRINT')
    .replaceAll(/\b10\.\d+\.\d+\.\d+/g, 'CLUSTER-IP')
    .replaceAll(namespace, 'NAMESPACE');
}

describe.skipIf(missing !== undefined)(`connect${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();

  test('both clusters get entries with all nodes of the other, and agents connect to the local etcd', async () => {
    const mesh = await meshes.installed();
    await mesh.withNodePort('west', async () => {
      const report = await mesh.connect('--source-endpoint=east.example.org:2379', '--allow-mismatching-ca=false');
      // The certificate of east does not have the name.
      expect(report.verdict).toBe('refused');
      expect(await mesh.secret('east', KVSTOREMESH)).toBeUndefined();
      const again = await mesh.connect('--source-endpoint=192.0.2.11:32379', '--source-endpoint=192.0.2.12:32379');
      expect(again.verdict).toBe('done');
    });
    expect(await mesh.entries('east', KVSTOREMESH)).toEqual({
      west: [
        'endpoints:',
        '  - https://west.mesh.cilium.io:32380',
        'trusted-ca-file: /var/lib/cilium/clustermesh/common-etcd-client-ca.crt',
        'key-file: /var/lib/cilium/clustermesh/common-etcd-client.key',
        'cert-file: /var/lib/cilium/clustermesh/common-etcd-client.crt',
        'cilium-host-aliases:',
        '  - hostname: west.mesh.cilium.io',
        '    ips:',
        '    - 192.0.2.21',
        '    - 192.0.2.22',
      ].join('\n'),
    });
    expect(await mesh.entries('east', CLUSTERMESH)).toEqual({
      west: [
        'endpoints:',
        `  - https://clustermesh-apiserver.${mesh.namespace}.svc:2379`,
        'trusted-ca-file: /var/lib/cilium/clustermesh/local-etcd-client-ca.crt',
        'key-file: /var/lib/cilium/clustermesh/local-etcd-client.key',
        'cert-file: /var/lib/cilium/clustermesh/local-etcd-client.crt',
      ].join('\n'),
    });
    expect(parse((await mesh.entries('west', KVSTOREMESH))?.east ?? '')).toMatchObject({
      'cilium-host-aliases': [{ hostname: 'east.mesh.cilium.io', ips: ['192.0.2.11', '192.0.2.12'] }],
    });
    expect(Object.keys((await mesh.entries('west', CLUSTERMESH)) ?? {})).toEqual(['east']);
  });

  test('without kvstoremesh agents connect to the remote etcd', async () => {
    const mesh = await meshes.installed({ hasKvstoreMesh: false });
    await mesh.connect();
    expect(await mesh.entries('east', CLUSTERMESH)).toEqual(await mesh.entries('east', KVSTOREMESH));
  });

  test('a second run writes nothing, keys of other clusters stay, and those of an earlier connection disappear', async () => {
    const mesh = await meshes.installed();
    const stringData = { north: 'endpoints: [https://north:2379]', west: 'old', 'west.etcd-client.key': 'old-key' };
    await mesh.create('east', 'secrets', { metadata: { name: KVSTOREMESH }, stringData });
    const first = await mesh.connect();
    const written = await mesh.entries('east', KVSTOREMESH);
    expect(Object.keys(written ?? {}).sort()).toEqual(['north', 'west']);
    expect(written).toMatchObject({ north: stringData.north });
    const versions = async () => [
      (await mesh.secret('east', KVSTOREMESH))?.metadata.resourceVersion,
      (await mesh.secret('west', CLUSTERMESH))?.metadata.resourceVersion,
    ];
    const before = await versions();
    const second = await mesh.connect();
    expect(await versions()).toEqual(before);
    expect(first.secrets.map(({ outcome }) => outcome)).toEqual(['written', 'written', 'written', 'written']);
    expect(second.secrets.map(({ outcome }) => outcome)).toEqual(['unchanged', 'unchanged', 'unchanged', 'unchanged']);
    expect(JSON.stringify([first, second])).not.toMatch(/old-key|PRIVATE/);
  });

  test('the text names every check, address and Secret', async () => {
    const mesh = await meshes.installed();
    const lines = steady(reportText(await mesh.connect()), mesh).split('\n');
    expect(lines).toEqual([
      'context east: cluster east, ID 1',
      'context west: cluster west, ID 2',
      'ok       east: ID 1 of 1 to 255',
      'ok       west: ID 2 of 1 to 255',
      'ok       east and west: names differ',
      'ok       east and west: IDs differ',
      'ok       east and west: max-connected-clusters is 255 in both',
      'ok       east and west: each trusts the CA of the other (east: FINGERPRINT, west: FINGERPRINT)',
      'ok       west: the server certificate has west.mesh.cilium.io',
      'ok       east: the server certificate has east.mesh.cilium.io',
      'addresses of west: CLUSTER-IP, port 2379 (ClusterIP of the Service, which works only if the clusters route the addresses of Services)',
      'addresses of east: CLUSTER-IP, port 2379 (ClusterIP of the Service, which works only if the clusters route the addresses of Services)',
      'context east: Secret NAMESPACE/cilium-kvstoremesh: changed (set west)',
      'context east: Secret NAMESPACE/cilium-clustermesh: changed (set west)',
      'context west: Secret NAMESPACE/cilium-kvstoremesh: changed (set east)',
      'context west: Secret NAMESPACE/cilium-clustermesh: changed (set east)',
      '',
    ]);
  });

  test('the output in docs/commands/connect.md is that of the command', async () => {
    const mesh = await meshes.installed();
    const page = readFileSync(join(import.meta.dirname, '../../docs/commands/connect.md'), 'utf8');
    const [, example = ''] = /^\$ clustermesh-apiserver connect .*\n([^`]*)```/m.exec(page) ?? [];
    const report = await mesh.withNodePort('east', () => mesh.withNodePort('west', () => mesh.connect()));
    expect(steady(reportText(report), mesh)).toBe(
      example.replaceAll('kube-system', 'NAMESPACE').replaceAll(/5E:0B:…/g, 'FINGERPRINT'),
    );
  });

  test.each([
    [['--source-endpoint=192.0.2.1:1', '--connection-mode=unicast'], /^flag --source-endpoint: no other cluster gets an entry/],
    [['--source-endpoint=192.0.2.1:1,192.0.2.2:2'], /^flag --source-endpoint: different ports \(1, 2\); allowed: /],
    [
      ['--destination-endpoint=192.0.2.1:1', '--destination-context=north'],
      /^flag --destination-endpoint: not allowed with several/,
    ],
  ])('%s is refused', async (argv, message) => {
    await expect(meshes.empty().connect(...argv)).rejects.toThrow(message);
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ['the same name', { 'cluster-name': 'east' }, 'both clusters are named east; set cluster.name'],
    [
      'the name default',
      { 'cluster-name': 'default' },
      'default: the name "default" is reserved for clusters without a mesh; set',
    ],
    ['the same ID', { 'cluster-id': '1' }, 'east and west: both clusters have ID 1; set cluster.id'],
    ['ID 0', { 'cluster-id': '0' }, 'west: cluster ID 0 is reserved; allowed: 1 to 255; set cluster.id'],
    ['an ID out of range', { 'cluster-id': '256' }, 'west: cluster ID 256 is not supported; allowed: 1 to 255; set'],
    ['another maximum', { 'max-connected-clusters': '511' }, 'east and west: max-connected-clusters is 255 and 511; '],
  ])('%s is refused with a remedy, and nothing is written', async (_, data, message) => {
    const mesh = await meshes.installed();
    await mesh.patch('west', 'configmaps', 'cilium-config', { data });
    const report = await mesh.connect();
    expect(report).toMatchObject({ verdict: 'refused', secrets: [] });
    expect(reportText(report)).toContain(`error    ${message}`);
    expect(reportText(report)).toMatch(/\nnothing was changed\n$/);
    expect(await mesh.secret('east', KVSTOREMESH)).toBeUndefined();
    expect(await mesh.secret('west', CLUSTERMESH)).toBeUndefined();
  });

  test('clusters of two CAs are refused with both fingerprints, unless this is allowed or each trusts both', async () => {
    const mesh = meshes.empty();
    await Promise.all([mesh.install('east'), mesh.install('west')]);
    await Promise.all([mesh.certificates('east'), mesh.certificates('west')]);
    const report = await mesh.connect();
    const found = report.checks.filter(({ severity }) => severity === 'error').map(({ text }) => text);
    expect(found).toHaveLength(1);
    const prints = found[0]?.match(/([0-9A-F]{2}:){31}[0-9A-F]{2}/g) ?? [];
    expect(new Set(prints).size).toBe(2);
    expect((await mesh.connect('--dry-run=server', '--allow-mismatching-ca')).verdict).toBe('done');
    const ca = async (side: 'east' | 'west') => (await mesh.entries(side, 'cilium-ca'))?.['ca.crt'] ?? '';
    const both = `${await ca('east')}${await ca('west')}`;
    for (const side of ['east', 'west'] as const)
      await mesh.create(side, 'configmaps', { metadata: { name: 'cilium-root-ca.crt' }, data: { 'ca.crt': both } });
    expect((await mesh.connect('--dry-run=server')).verdict).toBe('done');
  });

  test('a dry run prints the manifests and writes nothing', async () => {
    const mesh = await meshes.installed();
    for (const mode of ['client', 'server']) {
      const text = reportText(await mesh.connect(`--dry-run=${mode}`, '--connection-mode=unicast'));
      expect(await mesh.secret('east', KVSTOREMESH)).toBeUndefined();
      const [, manifest = ''] = text.split('---\n');
      expect(parse(manifest)).toMatchObject({
        kind: 'Secret',
        metadata: { name: KVSTOREMESH, namespace: mesh.namespace },
        stringData: { west: expect.stringContaining('https://west.mesh.cilium.io:2379') },
      });
    }
  });

  test('with Helm nothing changes in that cluster, and the values are printed; the other cluster is connected', async () => {
    const mesh = await meshes.installed();
    for (const name of [CLUSTERMESH, KVSTOREMESH]) await mesh.create('east', 'secrets', { metadata: { name, ...HELM } });
    const labels = { ...HELM.labels, 'helm.sh/chart': 'clustermesh-apiserver-0.1.0' };
    await mesh.withNodePort('west', async () => {
      const report = await mesh.connect();
      expect(report.verdict).toBe('managed');
      expect(reportText(report)).toContain(
        `context east: Secret ${mesh.namespace}/cilium-clustermesh: not changed (set west), because Helm manages it and would undo the change; change its values instead\n`,
      );
      expect(reportText(report).split('---\n')).toHaveLength(2);
      const place = { ips: ['192.0.2.21', '192.0.2.22'], port: 32_380 };
      expect(parse(reportText(report).split('---\n')[1] ?? '')).toEqual({
        clustermesh: { config: { enabled: true, clusters: [{ name: 'west', ...place }] } },
      });
      for (const name of [CLUSTERMESH, KVSTOREMESH]) await mesh.patch('east', 'secrets', name, { metadata: { labels } });
      expect(parse(reportText(await mesh.connect()).split('---\n')[1] ?? '')).toEqual({ mesh: { clusters: { west: place } } });
    });
    expect(await mesh.entries('east', KVSTOREMESH)).toEqual({});
    expect(Object.keys((await mesh.entries('west', KVSTOREMESH)) ?? {})).toEqual(['east']);
    const removal = reportText(await mesh.disconnect('--destination-name=west', '--connection-mode=unicast'));
    expect(removal).not.toContain('---');
  });

  test('addresses of a load balancer: names that the certificate covers stay names, else IP addresses are used', async () => {
    const mesh = await meshes.installed();
    const service = (ingress: readonly object[]) =>
      mesh.servers.west.requests.patch(mesh.path('services', 'clustermesh-apiserver/status'), 'merge-patch', {
        status: { loadBalancer: { ingress } },
      });
    await mesh.patch('west', 'services', 'clustermesh-apiserver', {
      spec: { type: 'LoadBalancer', allocateLoadBalancerNodePorts: false },
    });
    const west = async () => {
      const report = await mesh.connect('--dry-run=client', '--connection-mode=unicast');
      return { destination: report.destinations[0], errors: report.checks.filter(({ severity }) => severity === 'error') };
    };
    expect((await west()).errors).toMatchObject([{ text: 'west: the load balancer has no address yet' }]);
    await service([{ hostname: 'lb.example.org' }]);
    expect((await west()).errors).toMatchObject([
      { text: 'west: the server certificate does not have the name of the load balancer, lb.example.org' },
    ]);
    await service([{ hostname: 'lb.example.org' }, { ip: '203.0.113.7' }]);
    expect((await west()).destination).toMatchObject({ names: [], ips: ['203.0.113.7'], port: 2379 });
    await mesh.certificates('west', undefined, '--extra-dns-names=lb.example.org,mesh.example.org');
    expect((await west()).destination).toMatchObject({ names: ['lb.example.org'], ips: [] });
    const annotations = { 'external-dns.alpha.kubernetes.io/hostname': 'mesh.example.org' };
    await mesh.patch('west', 'services', 'clustermesh-apiserver', { metadata: { annotations } });
    expect(await west()).toMatchObject({
      destination: { names: ['mesh.example.org'], reason: 'annotation external-dns.alpha.kubernetes.io/hostname of the Service' },
      errors: [],
    });
  });

  test('disconnect removes the entries and leftovers on both sides, and a second run changes nothing', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    await mesh.patch('east', 'secrets', KVSTOREMESH, { stringData: { 'west.etcd-client.key': 'old-key', north: 'kept' } });
    const report = await mesh.disconnect('--destination-context=west');
    expect(await mesh.entries('east', KVSTOREMESH)).toEqual({ north: 'kept' });
    for (const [side, name] of [
      ['east', CLUSTERMESH],
      ['west', KVSTOREMESH],
      ['west', CLUSTERMESH],
    ] as const)
      expect(await mesh.entries(side, name)).toEqual({});
    expect(steady(reportText(report), mesh)).toContain(
      'context west: Secret NAMESPACE/cilium-kvstoremesh: changed (remove east)\n',
    );
    const again = await mesh.disconnect('--destination-context=west');
    expect(again.secrets.every(({ outcome }) => outcome === 'unchanged')).toBe(true);
  });

  test('a cluster that no longer exists is disconnected on one side, by its name and with --force', async () => {
    const mesh = await meshes.installed();
    await mesh.connect();
    const config = parse(readFileSync(mesh.kubeconfig, 'utf8'));
    config.clusters[1].cluster.server = 'https://127.0.0.1:1';
    const file = join(temporaryDirectory('mesh'), 'kubeconfig');
    writeFileSync(file, stringify(config));
    const dead = `--kubeconfig=${file}`;
    await expect(mesh.disconnect(dead, '--destination-context=west')).rejects.toThrow(/^context west: .*ECONNREFUSED/);
    await expect(mesh.disconnect(dead, '--destination-context=west', '--force')).rejects.toThrow(
      /if the cluster no longer exists, use --destination-name$/,
    );
    await expect(mesh.disconnect(dead, '--destination-name=west')).rejects.toThrow(/or --force to change this cluster only$/);
    await mesh.disconnect(dead, '--destination-name=west', '--force');
    expect(await mesh.entries('east', KVSTOREMESH)).toEqual({});
    expect(Object.keys((await mesh.entries('west', KVSTOREMESH)) ?? {})).toEqual(['east']);
  });

  test('runs at the same time do not undo each other', async () => {
    const mesh = await meshes.installed();
    const names = ['north', 'south', 'centre', 'west'];
    const stringData = Object.fromEntries([...names, 'kept'].map((name) => [name, 'endpoints: [https://x:2379]']));
    await mesh.create('east', 'secrets', { metadata: { name: KVSTOREMESH }, stringData });
    await Promise.all(names.map((name) => mesh.disconnect(`--destination-name=${name}`, '--connection-mode=unicast')));
    expect(Object.keys((await mesh.entries('east', KVSTOREMESH)) ?? {})).toEqual(['kept']);
  });

  test('the command prints a report for programs, without a key, and its status tells the outcome', async () => {
    const mesh = await meshes.installed();
    const run = (...args: readonly string[]) => runChild(process.execPath, [MAIN, ...args]);
    const good = await run('connect', ...mesh.argv('--destination-context=west', '-o=json'));
    expect(good.stderr).toBe('');
    expect(good.status).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ verdict: 'done', clusters: [{ name: 'east' }, { name: 'west' }] });
    expect(good.stdout).not.toContain('PRIVATE');
    await mesh.patch('west', 'configmaps', 'cilium-config', { data: { 'cluster-id': '1' } });
    expect((await run('connect', ...mesh.argv('--destination-context=west'))).status).toBe(1);
    const unknown = await run('connect', ...mesh.argv('--destination-context=north'));
    expect(unknown).toMatchObject({ status: 255, stdout: '' });
    expect(unknown.stderr).toContain('there is no context "north"; contexts: east, west\n');
  });
});
