/** Remotes that lie, confuse, or are incomplete. They affect only themselves. */

import { describe, expect, test } from 'vitest';
import { type EtcdKey, NO_LEASE } from '../../../src/shared/etcd/types.ts';
import { MAX_KEY_BYTES } from '../../../src/shared/limits.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { KvstoremeshProcess } from '../../support/kvstoremesh/kvstoremesh-process.ts';
import {
  FULL,
  Mesh,
  type Remote,
  type Store,
  startFullRemote,
  startLocal,
  startRemote,
} from '../../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { until } from '../../support/until.ts';

/** Puts a key of any bytes, one character each. */
async function putBytes(remote: Store, entries: readonly (readonly [string, Uint8Array | string])[]): Promise<void> {
  for (const [key, value] of entries) {
    const put = { type: 'put', key: key as EtcdKey, value: Buffer.from(value), lease: NO_LEASE } as const;
    await remote.client.txn([put], { signal: AbortSignal.timeout(60_000) });
  }
}

const NODES = 'cilium/state/nodes/v1/berlin/';
const MIRRORED = 'cilium/cache/nodes/v1/berlin/';

/** Everything of the local etcd that is not of berlin. */
async function others(local: Store): Promise<Record<string, string>> {
  const all = Object.entries(await local.dump(''));
  return Object.fromEntries(all.filter(([key]) => !/^cilium\/(cache\/[^/]+\/v1|cluster-config|synced)\/berlin(\/|$)/.test(key)));
}

/** Values that parsers trip over. */
const VALUES: readonly (readonly [string, Uint8Array | string])[] = [
  ['empty', ''],
  ['half', '{"name":"x"'],
  ['deep', '['.repeat(100_000)],
  ['prototype', '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'],
  ['number', '{"id":9007199254740993,"big":1e999}'],
  ['twice', '{"id":1,"id":2}'],
  ['nul', Buffer.from([0, 0xff, 0xfe, 0xc3, 0x28, 0])],
  ['long', Buffer.alloc(1_500_000, 'v')],
];

describe.skipIf(etcdVersions().length === 0).concurrent('a remote', () => {
  test.each([
    ['an ID of 0', 0, /cluster ID 0 is reserved/],
    ['our own ID', 200, /in use by the local cluster harbor/],
    ['an ID above the maximum', 256, /cluster ID 256 is not supported/],
    ['the ID of another cluster', 8, /in use by cluster oslo/],
  ])(
    'fault 33: that takes %s while it runs keeps its state, reports the reason, and resumes once its config is valid again',
    async (_, id, reason) => {
      await using local = await startLocal();
      await using berlin = await startFullRemote('berlin', 7);
      await using oslo = await startFullRemote('oslo', 8);
      await using mesh = new Mesh(local);
      await using oracle = await observe(local, [berlin, oslo]);
      mesh.add(berlin);
      mesh.add(oslo);
      await mesh.synced('berlin');
      await mesh.synced('oslo');
      await berlin.configure(id);
      await mesh.until('it is refused', 'berlin', (status) => status.reason?.match(reason));
      const held = await local.dump('cilium/cache/nodes/v1/berlin/');
      await berlin.fill('2');
      await oslo.fill('2');
      await until('oslo goes on', () => mesh.status('oslo')?.['num-nodes'] === 2);
      expect(await local.dump('cilium/cache/nodes/v1/berlin/')).toEqual(held);
      expect((await local.dump('cilium/cluster-config/'))['cilium/cluster-config/berlin']).toContain('"id":7');
      await berlin.configure(7);
      await mesh.synced('berlin');
      await oracle.converged();
    },
  );

  test('fault 33: that changes its ID for a free one is mirrored under the new one, and the old one is free', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 7);
    await using mesh = new Mesh(local);
    await using oracle = await observe(local, [berlin, oslo]);
    mesh.add(berlin);
    await mesh.synced('berlin');
    mesh.add(oslo);
    await mesh.until('it is refused', 'oslo', ({ reason }) => reason?.includes('in use by cluster berlin'));
    await berlin.configure(9);
    await mesh.synced('oslo');
    await mesh.until('its ID is the new one', 'berlin', ({ ready, config }) => ready && config?.['cluster-id'] === 9);
    await oracle.converged();
    expect((await local.dump('cilium/cluster-config/'))['cilium/cluster-config/berlin']).toContain('"id":9');
  });

  test('fault 34: that holds keys of other clusters has none of them mirrored, and lies in its own values as it likes', async () => {
    await using local = await startLocal();
    await local.put({ 'cilium/state/nodes/v1/harbor/own': 'ours', 'cilium/cache/nodes/v1/paris/node': 'another mirror' });
    await using berlin = await startFullRemote('berlin', 7);
    const lie = JSON.stringify({ cluster: 'harbor', clusterID: 0, name: 'node', addresses: [{ ip: '127.0.0.1' }] });
    await berlin.put({
      'cilium/state/nodes/v1/harbor/own': 'theirs',
      'cilium/cache/nodes/v1/paris/node': 'theirs',
      'cilium/state/nodes/v1/berlinish/node': 'theirs',
      'cilium/state/services/v1/paris/shop/cart': 'theirs',
      'cilium/state/identities/v1/value/k8s:x;/10.0.0.1': '1',
      'cilium/state/ip/v1/other/10.0.0.1': '{}',
      'cilium/cluster-config/paris': '{"id":9}',
      'cilium/synced/paris/cilium/cache/nodes/v1': 'x',
      'cilium/kvstoremesh-lock/1': '',
      [`${NODES}../paris/node`]: 'up',
      [`${NODES}liar`]: lie,
    });
    await using mesh = new Mesh(local);
    await using oracle = await observe(local, [berlin]);
    const before = await others(local);
    mesh.add(berlin);
    await mesh.synced('berlin');
    await oracle.converged();
    expect(await others(local)).toEqual(before);
    expect((await local.dump(MIRRORED))[`${MIRRORED}liar`]).toBe(lie);
    expect((await local.dump(MIRRORED))[`${MIRRORED}../paris/node`]).toBe('up');
  });

  test('fault 35: with keys of any bytes is mirrored byte for byte; those without a name of their own are refused and counted', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    const odd = ['\0', '\xff\xfe', '\xc3\x28', 'a\0b', ' ', '\n', 'é', `long-${'k'.repeat(MAX_KEY_BYTES - MIRRORED.length - 5)}`];
    await putBytes(
      berlin,
      odd.map((key, index) => [NODES + key, `value ${index}`]),
    );
    await putBytes(berlin, [
      [NODES, 'no name'],
      [`${NODES}//`, 'no name'],
      [`${NODES}${'k'.repeat(MAX_KEY_BYTES)}`, 'too long'],
      [`${NODES}trailing/`, 'as without'],
    ]);
    await using mesh = await Mesh.mirroring(local, [berlin, oslo]);
    const wanted = Object.fromEntries(odd.map((key, index) => [MIRRORED + key, `value ${index}`]));
    expect(await local.dump(MIRRORED)).toEqual({
      ...wanted,
      [`${MIRRORED}node-1`]: 'node 1',
      [`${MIRRORED}trailing`]: 'as without',
    });
    const rejected = await mesh.registry.getSingleMetric('test_publisher_rejected_keys_total')?.get();
    const counts = rejected?.values.filter(({ value, labels }) => value > 0 && labels.source_cluster === 'berlin');
    expect(counts?.map(({ labels, value }) => [labels.reason, value]).sort()).toEqual([
      ['key_too_large', 1],
      ['outside_prefix', 2],
    ]);
    await berlin.delete(NODES);
    await putBytes(berlin, [[`${NODES}\0`, 'changed']]);
    await until('changes go on', async () => (await local.dump(MIRRORED))[`${MIRRORED}\0`] === 'changed');
    const hostile = (await others(local)) as Record<string, string>;
    expect(Object.keys(hostile).filter((key) => !key.includes('oslo'))).toEqual([]);
    await oslo.fill('2');
    await until('oslo goes on', () => mesh.status('oslo')?.['num-nodes'] === 2);
  });

  test('fault 36: with values that are no values is mirrored byte for byte, and what is read of it is refused', async () => {
    await using local = await startLocal({ args: ['--max-request-bytes=3000000'] });
    await using berlin = await startFullRemote('berlin', 7);
    await putBytes(
      berlin,
      VALUES.map(([name, value]) => [NODES + name, value]),
    );
    await using mesh = new Mesh(local);
    await using oracle = await observe(local, [berlin]);
    mesh.add(berlin);
    await mesh.synced('berlin');
    await oracle.converged();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    // The cluster config is the one value that is read.
    const configs: readonly (readonly [string, RegExp])[] = [
      ['', /is not JSON/],
      ['[]', /is not an object/],
      ['['.repeat(30_000), /is not JSON/],
      [`{"id":${'9'.repeat(20)}}`, /id is not a whole number/],
      [JSON.stringify({ id: 7, padding: 'x'.repeat(70_000) }), /has \d+ bytes; allowed: 65536/],
      ['{"id":7,"capabilities":{"cached":"yes"}}', /cached is not a boolean/],
    ];
    for (const [config, reason] of configs) {
      await berlin.put({ 'cilium/cluster-config/berlin': config });
      await mesh.until('it is refused', 'berlin', (status) => status.reason?.match(reason));
    }
    await berlin.fill('2');
    await oracle.converged();
    await berlin.put({
      'cilium/cluster-config/berlin': JSON.stringify({ id: 7, capabilities: FULL }).replace('{', '{"__proto__":{"id":9},"id":3,'),
    });
    await mesh.until('all is well', 'berlin', ({ reason, config }) => reason === undefined && config?.['cluster-id'] === 7);
    expect(({} as Record<string, unknown>).id).toBeUndefined();
  });

  test('fault 37: that creates keys without end is stopped at its bound, and taken up again once it has fewer; others do not notice', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    const flags = ['--remote-max-keys=300'];
    await using daemon = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint, times: { speed: 5 }, flags });
    await using oracle = await observe(local, [berlin, oslo]);
    daemon.add(berlin, oslo);
    await daemon.start();
    await daemon.until('berlin is mirrored', 'berlin', ({ ready }) => ready);
    const { accepted } = oslo.proxy;
    const page = (at: number) =>
      Array.from({ length: 100 }, (_, i) => `cilium/state/ip/v1/default/10.${at >> 8}.${at & 255}.${i}`);
    const stop = new AbortController();
    const creating = (async () => {
      let at = 0;
      for (; !stop.signal.aborted; at += 1) await berlin.put(Object.fromEntries(page(at).map((key) => [key, 'x'.repeat(100)])));
      return at;
    })();
    await daemon.until('berlin is stopped', 'berlin', (status) => status['stopped-by'] === 'keys');
    await oslo.fill('2');
    await daemon.until('oslo goes on', 'oslo', (status) => status['num-nodes'] === 2 && status.ready);
    expect(Object.keys(await local.dump('cilium/cache/ip/v1/berlin/')).length).toBeLessThanOrEqual(300);
    expect(oslo.proxy.accepted).toBe(accepted);
    expect(await daemon.metric('remote_cluster_stopped{target_cluster="berlin"}')).toEqual([1]);
    expect((await daemon.status('berlin'))?.reason).toContain('--remote-max-keys');
    stop.abort();
    const pages = await creating;
    for (let at = 0; at < pages; at += 1) await berlin.delete(...page(at));
    await daemon.until('berlin is mirrored again', 'berlin', ({ ready, reason }) => ready && reason === undefined);
    await oracle.converged();
  });

  test('fault 38: that becomes a mirror itself, and back, is read elsewhere without a key that vanishes on the way', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await berlin.fill('1');
    await berlin.announce();
    await using mesh = new Mesh(local);
    mesh.add(berlin);
    await mesh.until('the lack is told', 'berlin', ({ reason }) => reason?.startsWith('the remote has no'));
    expect(await local.dump()).toEqual({});
    await berlin.configure(7);
    await mesh.synced('berlin');
    await mesh.holds(berlin.keys('1', 'cache'));
    const revisions = await revisionsOf(local, berlin);

    // The same keys below the other prefix, and one more.
    await berlin.put({ ...berlin.keys('1', 'cache'), 'cilium/cache/nodes/v1/berlin/node-2': 'node 2' });
    await berlin.configure(7, { ...FULL, cached: true });
    await mesh.until('it waits', 'berlin', ({ config, reason }) => config?.kvstoremesh && reason?.includes('waiting for'));
    await mesh.holds(berlin.keys('1', 'cache'));
    const scopes = Object.keys(berlin.keys('1', 'cache')).map((key) => key.split('/')[2]);
    await berlin.put(Object.fromEntries(scopes.map((scope) => [`cilium/synced/berlin/cilium/cache/${scope}/v1`, 'x'])));
    await mesh.holds({ ...berlin.keys('1', 'cache'), 'cilium/cache/nodes/v1/berlin/node-2': 'node 2' });

    // Without canaries nothing is waited for; back again what is only in the mirror goes.
    await berlin.configure(7, { ...FULL, syncedCanaries: false });
    await mesh.holds(berlin.keys('1', 'cache'));
    await mesh.synced('berlin');
    expect(await revisionsOf(local, berlin)).toEqual(revisions);
  });

  test('fault 39: that never writes a canary keeps the mirrored keys of that kind, has no canary of ours, and does not delay readiness forever', async () => {
    await using local = await startLocal();
    await using berlin = await startRemote('berlin');
    await using rome = await startRemote('rome');
    for (const [remote, id] of [
      [berlin, 7],
      [rome, 9],
    ] as const) {
      await remote.fill('1');
      await remote.configure(id, remote === rome ? { ...FULL, syncedCanaries: false } : FULL);
    }
    await berlin.announce('identities', 'ip', 'services', 'endpointslices', 'serviceexports');
    // Of an earlier run, when it still announced its nodes.
    await local.put({ [`${MIRRORED}node-0`]: 'node 0' });
    const flags = ['--global-ready-timeout=6s', '--per-cluster-ready-timeout=1s'];
    await using daemon = await KvstoremeshProcess.prepare({ endpoint: local.process.endpoint, flags });
    daemon.add(berlin, rome);
    await daemon.start();
    await daemon.until('the wait is told', 'berlin', ({ reason }) =>
      reason?.includes('nodes: waiting for cilium/synced/berlin/cilium/state/nodes/v1'),
    );
    await daemon.until('rome announces nothing and is read', 'rome', ({ ready }) => ready);
    await daemon.process.ready();
    expect(await local.dump(MIRRORED)).toEqual({ [`${MIRRORED}node-0`]: 'node 0' });
    const announced = async () => Object.keys(await local.dump('cilium/synced/berlin/'));
    // Endpoints and services wait a while for the nodes they refer to.
    await until('the other kinds are announced', async () => (await announced()).length >= 5, { withinMs: 45_000 });
    const canaries = await announced();
    expect(canaries.length).toBe(5);
    expect(canaries).not.toContain('cilium/synced/berlin/cilium/cache/nodes/v1');
    expect(Object.keys(await local.dump('cilium/synced/rome/')).length).toBe(6);
    await berlin.announce('nodes');
    await daemon.until('all is well', 'berlin', ({ ready, reason }) => ready && reason === undefined);
    await until('stale keys are gone', async () => (await local.dump(MIRRORED))[`${MIRRORED}node-0`] === undefined);
    await until('the nodes are announced, too', async () => (await announced()).length === 6);
  });
});

async function revisionsOf(local: Store, remote: Remote): Promise<number[]> {
  return Promise.all(Object.keys(remote.keys('1', 'cache')).map((key) => local.revision(key)));
}
