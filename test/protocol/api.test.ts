/** Rules 69 and 71 to 73: the status of remotes, and the keys for agents in the local etcd. */

import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { type RemoteClusterStatus, remoteClusterStatus } from '../../src/kvstoremesh/status/status.ts';
import { loadEntries } from '../golden/kvstoremesh/recording/entry-loading.ts';
import { readEntries } from '../golden/kvstoremesh/recording/input-bytes.ts';
import { etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { FULL, Mesh, startFullRemote, startLocal, startRemote } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import { Agent, RELEASES } from './agent.ts';
import { ALL_KINDS, canaries, mirroredKinds } from './clusters.ts';

vi.setConfig({ maxConcurrency: 3 });

const NEVER = '0001-01-01T00:00:00.000Z';
const CONNECTED =
  /^etcd: 1\/1 connected, leases=0, lock leases=0, has-quorum=true: endpoint status checks are disabled, ID: [0-9a-f]+$/;
const WAITING = 'Waiting for initial connection to be established';
const COUNTS = [
  'num-endpoint-slices',
  'num-endpoints',
  'num-identities',
  'num-nodes',
  'num-service-exports',
  'num-shared-services',
];

/** The members of a remote cluster in the original's API, and the types in which its readers hold them. */
const API: Readonly<Record<string, unknown>> = {
  name: 'string',
  status: 'string',
  'last-failure': 'time',
  connected: 'boolean',
  ready: 'boolean',
  'num-failures': 'integer',
  ...Object.fromEntries(COUNTS.map((count) => [count, 'integer'])),
  config: {
    'cluster-id': 'integer',
    'endpoint-slices-export-mode': 'string',
    kvstoremesh: 'boolean',
    required: 'boolean',
    retrieved: 'boolean',
    'service-exports-enabled': 'boolean',
    'sync-canaries': 'boolean',
  },
  synced: Object.fromEntries(
    ['endpoint-slices', 'endpoints', 'identities', 'nodes', 'service-exports', 'services'].map((kind) => [kind, 'boolean']),
  ),
};

/** Where a reader with the original's types would fail, or miss something. */
function misread(value: unknown, type: unknown, path = ''): string[] {
  if (typeof type === 'object' && type !== null) {
    if (typeof value !== 'object' || value === null) return [`${path} is no object`];
    return Object.entries(value).flatMap(([member, inner]) => {
      const known: unknown = (type as Record<string, unknown>)[member];
      return known === undefined ? [`${path}.${member} is not known`] : misread(inner, known, `${path}.${member}`);
    });
  }
  if (type === 'integer') return Number.isInteger(value) ? [] : [`${path} is no integer`];
  if (type === 'time') return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(value)) ? [] : [`${path} is no time`];
  return typeof value === type ? [] : [`${path} is no ${String(type)}`];
}

describe.skipIf(etcdVersions().length === 0).concurrent('the API', () => {
  test('rule 69: reports a remote that never responded, lacks its config, is ready or lost, each by the right members, by name', async () => {
    await using local = await startLocal();
    await using rome = await startFullRemote('rome', 9);
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.configure(7, { ...FULL, serviceExportsEnabled: false });
    await using lima = await startRemote('lima');
    await using oslo = await startRemote('oslo');
    await oslo.process.kill();
    await using mesh = new Mesh(local, { silenceMs: 500, importGuard: 'off' });
    for (const remote of [rome, oslo, lima, berlin]) mesh.add(remote);
    await mesh.synced('berlin');
    await mesh.synced('rome');
    await mesh.until('it is asked for its config', 'lima', ({ config }) => config);
    await rome.process.kill();
    await mesh.until('it is away', 'rome', ({ connected }) => !connected);
    const told = mesh.remotes.all.map(remoteClusterStatus).map(({ reason: _, ...status }) => status);
    const one = Object.fromEntries(COUNTS.map((count) => [count, 1]));
    const all = Object.fromEntries(['endpoints', 'identities', 'nodes', 'services'].map((kind) => [kind, true]));
    expect(told).toEqual([
      {
        name: 'berlin',
        connected: true,
        ready: true,
        config: {
          'cluster-id': 7,
          'endpoint-slices-export-mode': 'services-and-endpointslices',
          required: true,
          retrieved: true,
          'service-exports-enabled': false,
          'sync-canaries': true,
        },
        'last-failure': NEVER,
        ...one,
        status: expect.stringMatching(CONNECTED),
        synced: { ...all, 'endpoint-slices': true, 'service-exports': true },
      },
      {
        name: 'lima',
        connected: true,
        config: { required: true },
        'last-failure': NEVER,
        status: expect.stringMatching(CONNECTED),
        synced: { services: true },
      },
      { name: 'oslo', 'last-failure': NEVER, status: WAITING, synced: { services: true } },
      {
        name: 'rome',
        'last-failure': expect.stringMatching(/^20\d\d-.*\.\d{3}Z$/),
        'num-failures': 1,
        ...one,
        status: WAITING,
        synced: { 'endpoint-slices': false, 'service-exports': false },
      },
    ]);
    for (const status of told) {
      const members = Object.keys(status);
      expect(members).toEqual(members.toSorted());
    }
  });

  test('rule 71: is read with the members and types that cilium-cli holds it in, beside one member of our own', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await berlin.configure(7, { ...FULL, serviceExportsEnabled: false });
    await using lima = await startRemote('lima');
    const directory = new ConfigDirectory();
    directory.add(berlin);
    directory.add(lima);
    directory.write('oslo', 'endpoints: ["http://127.0.0.1:1"]\n');
    await using daemon = await KvstoremeshRun.start(local, directory, { flags: ['--import-guard=off'] });
    await daemon.until('it is ready', 'berlin', ({ ready }) => ready);
    await daemon.until('it says why not', 'lima', ({ config, reason }) => config && reason);
    const answer = await fetch(`http://127.0.0.1:${daemon.ports.api}/v1/cluster`);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    const body = await answer.text();
    expect(body.endsWith(']\n')).toBe(true);
    const clusters = JSON.parse(body) as RemoteClusterStatus[];
    expect(clusters.map(({ name }) => name)).toEqual(['berlin', 'lima', 'oslo']);
    for (const { reason, ...status } of clusters) {
      expect(misread(status, API)).toEqual([]);
      expect(typeof reason).toBe(status.ready ? 'undefined' : 'string');
    }
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('an agent of the local cluster', () => {
  test.each(RELEASES)(
    'rule 72: of release $version, as an independent reader of its contract, imports all it reads, and follows it',
    async (release) => {
      await using local = await startLocal();
      await using berlin = await startRemote('berlin');
      const recorded = join(import.meta.dirname, '../golden/kvstoremesh/data/mapping-basic/berlin-0.json');
      await loadEntries(berlin.process.endpoint, readEntries(recorded));
      const directory = new ConfigDirectory();
      directory.add(berlin);
      await using daemon = await KvstoremeshRun.start(local, directory, { flags: ['--enable-heartbeat'] });
      await daemon.ready();
      await using agent = new Agent(release, local.process.endpoint, 200);
      await agent.connect('berlin');
      for (const kind of release.kinds) expect(agent.count(kind), kind).toBe(2);
      for (const [kind, records] of agent.imported) {
        const source = { ip: 'ip/v1/default', identities: 'identities/v1/id' }[kind as string] ?? `${kind}/v1/berlin`;
        const entries = Object.entries(await berlin.dump(`cilium/state/${source}/`));
        const own = entries.map(([key, value]) => [key.slice(`cilium/state/${source}/`.length), value]);
        expect(Object.fromEntries([...records].map(([key, value]) => [key, value.toString('latin1')]))).toEqual(
          Object.fromEntries(own),
        );
      }

      const node = (name: string) => JSON.stringify({ Name: name, Cluster: 'berlin', ClusterID: 7 });
      await berlin.put({ 'cilium/state/nodes/v1/berlin/later': node('later') });
      await berlin.delete('cilium/state/services/v1/berlin/shop/cart');
      await until('it follows', () => agent.count('nodes') === 3 && agent.count('services') === 1);
      expect(agent.refused).toEqual([]);
      await berlin.put({ 'cilium/state/nodes/v1/berlin/liar': node('other') });
      await until('it judges each record', () => agent.refused.length === 1);
    },
  );
});

describe.skipIf(etcdVersions().length === 0).concurrent('a remote of release 1.15', () => {
  test('rule 73: has no members for service exports and slices, and is mirrored and ready without them', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.configure(7, { syncedCanaries: true, maxConnectedClusters: 255 });
    await berlin.fill('1');
    await berlin.announce('nodes', 'identities', 'ip', 'services');
    await using mesh = await Mesh.mirroring(local, [berlin]);
    expect(await mirroredKinds(local, 'berlin')).toEqual(['identities', 'ip', 'nodes', 'services']);
    expect(await canaries(local, 'berlin')).toEqual(ALL_KINDS);
    expect(await local.dump('cilium/cluster-config/')).toEqual({
      'cilium/cluster-config/berlin': '{"id":7,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255}}',
    });
    const status = mesh.status('berlin');
    expect(status?.config).toEqual({ 'cluster-id': 7, required: true, retrieved: true, 'sync-canaries': true });
    expect(status?.synced).toEqual({ endpoints: true, identities: true, nodes: true, services: true });
  });
});
