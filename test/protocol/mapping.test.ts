/** Rules 1 to 15: which keys are mirrored, where to, with which bytes. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import {
  FULL,
  Mesh,
  type Remote,
  type Store,
  startFullRemote,
  startLocal,
  startRemote,
} from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { ALL_KINDS, canaries, changesSince, mirroredKinds, sharing } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const BIG = Buffer.alloc(1024 * 1024, 'xyz');
const BINARY = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0xfe, 0xc3, 0x28]);
const ODD = ['semi;colon=equals', 'a space', '100%25', 'é 中', '../up', 'x/../y', './z'];

const SOURCE: Readonly<Record<string, string | Uint8Array>> = {
  'nodes/v1/a/n1': 'of a',
  'nodes/v1/ab/n1': 'of ab',
  'identities/v1/id/1': 'k8s:app=x;',
  'identities/v1/value/k8s:x;/10.0.0.1': '1',
  'identities/v1/locks/k8s:x;': '',
  'ip/v1/default/10.7.0.0/24': 'range',
  'ip/v1/default/fd00::1': 'v6',
  'ip/v1/default/fd00::/64': 'v6 range',
  'ip/v1/other/1.2.3.4': 'of another address space',
  'endpointslices/v1/a/binary': BINARY,
  'endpointslices/v1/a/empty': '',
  'endpointslices/v1/a/big': BIG,
  ...Object.fromEntries(ODD.map((own) => [`services/v1/a/${own}`, own])),
  'services/v1/a/trailing/': 'trailing',
  'services/v1/a/doubled//slash': 'doubled',
};

describe.skipIf(etcdVersions().length === 0)('of a remote named a', () => {
  let local: Store;
  let remote: Remote;
  let mesh: Mesh;

  beforeAll(async () => {
    local = await startLocal();
    remote = await startRemote('a');
    await remote.configure(7);
    for (const [key, value] of Object.entries(SOURCE)) await remote.put({ [`cilium/state/${key}`]: value });
    await remote.announce();
    mesh = new Mesh(local);
    mesh.add(remote);
    await mesh.synced('a');
  });
  afterAll(async () => {
    await mesh.stop();
    await remote[Symbol.asyncDispose]();
    await local[Symbol.asyncDispose]();
  });

  const cached = (kind: string) => local.dump(`cilium/cache/${kind}/`);

  test('rule 1: only its own nodes are mirrored, and not those of a cluster whose name begins alike', async () => {
    expect(await cached('nodes')).toEqual({ 'cilium/cache/nodes/v1/a/n1': 'of a' });
  });

  test('rule 2: of its identities only those by ID are mirrored, neither values nor locks', async () => {
    expect(await cached('identities')).toEqual({ 'cilium/cache/identities/v1/a/id/1': 'k8s:app=x;' });
  });

  test('rules 3, 4: addresses and ranges of both families keep their form below its name, other address spaces stay away', async () => {
    expect(await cached('ip')).toEqual({
      'cilium/cache/ip/v1/a/10.7.0.0/24': 'range',
      'cilium/cache/ip/v1/a/fd00::1': 'v6',
      'cilium/cache/ip/v1/a/fd00::/64': 'v6 range',
    });
  });

  test('rule 5: values travel byte for byte: binary, empty, and of a megabyte', async () => {
    expect(await cached('endpointslices')).toEqual({
      'cilium/cache/endpointslices/v1/a/binary': BINARY.toString('latin1'),
      'cilium/cache/endpointslices/v1/a/empty': '',
      'cilium/cache/endpointslices/v1/a/big': BIG.toString('latin1'),
    });
  });

  test('rule 6: names of keys travel byte for byte, but for slashes that are doubled or trailing', async () => {
    const kept = ODD.map((own) => [keyOf(`cilium/cache/services/v1/a/${own}`), keyOf(own)]);
    expect(await cached('services')).toEqual({
      ...Object.fromEntries(kept),
      'cilium/cache/services/v1/a/trailing': 'trailing',
      'cilium/cache/services/v1/a/doubled/slash': 'doubled',
    });
  });

  test('rule 13: equal values written again are not written on', async () => {
    const since = await local.revision();
    for (const [key, value] of Object.entries(SOURCE)) await remote.put({ [`cilium/state/${key}`]: value });
    const kinds = ['nodes/v1/a', 'identities/v1/id', 'ip/v1/default', 'services/v1/a', 'endpointslices/v1/a'];
    await remote.put(Object.fromEntries(kinds.map((kind) => [`cilium/state/${kind}/last`, 'last'])));
    const last = async () => Object.values(await local.dump('cilium/cache/')).filter((value) => value === 'last').length;
    await until('what came after is there', async () => (await last()) === 5);
    const changed = (await changesSince(local, since)).map(({ key }) => key);
    expect(changed.filter((key) => !key.endsWith('/last'))).toEqual([]);
  });
});

const CAPABILITIES: readonly (readonly [string, object, readonly string[]])[] = [
  ['absent', {}, ['nodes', 'services']],
  ['null', { serviceExportsEnabled: null }, ['nodes', 'services']],
  ['off', { serviceExportsEnabled: false }, ['nodes', 'serviceexports', 'services']],
  ['on', { serviceExportsEnabled: true }, ['nodes', 'serviceexports', 'services']],
  ['both', { endpointSlicesExportMode: 'services-and-endpointslices' }, ['endpointslices', 'nodes', 'services']],
  ['slices', { endpointSlicesExportMode: 'endpointslices-only' }, ['endpointslices', 'nodes']],
  ['future', { endpointSlicesExportMode: 'in-future' }, ['endpointslices', 'nodes', 'services']],
];

describe.skipIf(etcdVersions().length === 0).concurrent('as a remote says of itself', () => {
  test('rules 9, 10: its kinds are mirrored by what it exports, and each has its canary in any case', async () => {
    await using local = await startLocal();
    await using source = await startRemote('source');
    const clusters = sharing(source, ...CAPABILITIES.map(([name]) => name));
    for (const [index, remote] of clusters.entries()) {
      await remote.configure(10 + index, CAPABILITIES[index]?.[1] ?? {});
      const kinds = ['nodes', 'services', 'endpointslices', 'serviceexports'];
      await remote.put(Object.fromEntries(kinds.map((kind) => [`cilium/state/${kind}/v1/${remote.name}/x`, kind])));
    }
    await using _mesh = await Mesh.mirroring(local, clusters);
    for (const [name, , kinds] of CAPABILITIES) {
      expect(await mirroredKinds(local, name), name).toEqual(kinds);
      expect(await canaries(local, name), name).toEqual(ALL_KINDS);
    }
  });

  test('rule 8: its cluster config is passed on in canonical form, with the known members only', async () => {
    await using local = await startLocal();
    await using source = await startRemote('source');
    const [berlin, oslo] = sharing(source, 'berlin', 'oslo') as [Remote, Remote];
    await source.put({
      'cilium/cluster-config/berlin':
        ' {"y": 2,\n "capabilities" :\t{"serviceExportsEnabled":false, "x":1,"maxConnectedClusters":255},"id":7}\n',
      'cilium/cluster-config/oslo': '{"id":8}',
    });
    await using _mesh = await Mesh.mirroring(local, [berlin, oslo]);
    expect(await local.dump('cilium/cluster-config/')).toEqual({
      'cilium/cluster-config/berlin':
        '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":false}}',
      'cilium/cluster-config/oslo': '{"id":8,"capabilities":{"syncedCanaries":true,"cached":true}}',
    });
  });

  test('rule 7: a mirror is read below cilium/cache, by its own canaries, and not below cilium/state', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, { ...FULL, cached: true });
    await berlin.fill('1');
    await berlin.announce();
    await berlin.put(berlin.keys('2', 'cache'));
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('it waits', 'berlin', ({ reason }) =>
      reason?.startsWith('nodes: waiting for cilium/synced/berlin/cilium/cache/nodes/v1'),
    );
    expect(await local.dump('cilium/cache/')).toEqual({});
    await berlin.put(Object.fromEntries(ALL_KINDS.map((kind) => [`cilium/synced/berlin/cilium/cache/${kind}/v1`, 'x'])));
    await mesh.synced('berlin');
    await berlin.fill('3');
    await berlin.put(berlin.keys('4', 'cache'));
    await mesh.holds({ ...berlin.keys('2', 'cache'), ...berlin.keys('4', 'cache') });
  });

  test('rule 12: with --allow-id-conflicts any cluster ID is mirrored and ready, also one that is in use, ours, 0 or out of range', async () => {
    await using local = await startLocal();
    await using source = await startRemote('source');
    const ids = { berlin: 7, lima: 7, none: 0, oslo: 200, rome: 900 };
    const clusters = sharing(source, ...Object.keys(ids));
    for (const remote of clusters) await remote.configure(ids[remote.name as keyof typeof ids], {});
    await using mesh = await Mesh.mirroring(local, clusters, { allowIdConflicts: true });
    for (const { name } of clusters) {
      expect(mesh.status(name)).toMatchObject({ ready: true, config: { retrieved: true } });
      expect(await canaries(local, name)).toEqual(ALL_KINDS);
    }
    expect(mesh.status('rome')?.config?.['cluster-id']).toBe(900);
    expect(mesh.status('none')?.config?.['cluster-id']).toBeUndefined();
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('while the local etcd does not answer', () => {
  test('rule 14: of ten updates of a key the last one wins, and fewer than ten are written, in order', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    const since = await local.revision();
    local.process.pause();
    for (let round = 1; round <= 10; round += 1) await berlin.put({ 'cilium/state/nodes/v1/berlin/node-1': `${round}` });
    await berlin.put({ 'cilium/state/nodes/v1/berlin/last': 'last' });
    await mesh.until('all are read', 'berlin', (status) => status['num-nodes'] === 2);
    local.process.resume();
    const { ...expected } = berlin.keys('1', 'cache');
    expected['cilium/cache/nodes/v1/berlin/node-1'] = '10';
    await mesh.holds({ ...expected, 'cilium/cache/nodes/v1/berlin/last': 'last' });
    const events = await changesSince(local, since);
    const values = events.flatMap((event) =>
      event.type === 'put' && event.key.endsWith('/node-1') ? [Number(event.value.toString())] : [],
    );
    expect(values.length).toBeLessThan(10);
    expect(values).toEqual(values.toSorted((one, other) => one - other));
    expect(values.at(-1)).toBe(10);
  });

  test('rule 15: a key that comes and goes leaves nothing behind', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using mesh = await Mesh.mirroring(local, [berlin]);
    local.process.pause();
    for (let round = 0; round < 20; round += 1) await berlin.put({ [`cilium/state/nodes/v1/berlin/brief-${round}`]: 'x' });
    await berlin.delete(...Array.from({ length: 20 }, (_, round) => `cilium/state/nodes/v1/berlin/brief-${round}`));
    const last = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`nodes/v1/berlin/last-${index}`, 'last']));
    await berlin.put(Object.fromEntries(Object.entries(last).map(([key, value]) => [`cilium/state/${key}`, value])));
    await mesh.until('all are read', 'berlin', (status) => status['num-nodes'] === 31);
    local.process.resume();
    await mesh.holds({
      ...berlin.keys('1', 'cache'),
      ...Object.fromEntries(Object.entries(last).map(([key, value]) => [`cilium/cache/${key}`, value])),
    });
  });
});
