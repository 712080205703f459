/** `kvstoremesh-dbg kv` on real etcds, with the values that the converters write. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { convertEndpointSlice } from '../../../src/apiserver/converters/endpoint-slice.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { type Remote, type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { type Outcome, runChild, startChild } from '../../support/processes/child.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const SLICE = {
  metadata: { name: 'cart-x', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'cart' } },
  addressType: 'IPv4',
  endpoints: [{ addresses: ['10.7.0.1'], conditions: { ready: true, terminating: false }, hints: { forZones: [{ name: 'a' }] } }],
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
};

describe.skipIf(etcdVersions().length === 0)('kv', () => {
  let local: Store;
  let berlin: Remote;
  let directory: string;

  beforeAll(async () => {
    [local, berlin] = await Promise.all([startLocal(), startFullRemote('berlin', 7)]);
    directory = temporaryDirectory('kv');
    writeFileSync(join(directory, 'local.yaml'), `endpoints:\n- ${local.process.endpoint}\n`);
    writeFileSync(join(directory, 'berlin'), `endpoints:\n- ${berlin.process.endpoint}\n`);
  });

  afterAll(() => Promise.all([local?.[Symbol.asyncDispose](), berlin?.[Symbol.asyncDispose]()]));

  function argv(...args: readonly string[]): readonly string[] {
    const flags = [`--etcd-config=${directory}/local.yaml`, ...(args[0] === 'diff' ? [`--clustermesh-config=${directory}`] : [])];
    return ['--disable-warning=ExperimentalWarning', MAIN, 'kvstoremesh-dbg', 'kv', ...args, ...flags];
  }

  function kv(...args: readonly string[]): Promise<Outcome> {
    return runChild(process.execPath, argv(...args), { env: { CLUSTER_NAME: 'harbor' } });
  }

  async function json(...args: readonly string[]): Promise<unknown> {
    const { status, stdout, stderr } = await kv(...args, '--output=json');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  test('get decodes the value of each kind', async () => {
    const [slice] = convertEndpointSlice({ name: 'berlin', id: 7 }, SLICE as never).entries;
    await local.put({
      'cilium/cache/endpointslices/v1/berlin/shop/cart-x': slice?.value ?? Buffer.alloc(0),
      'cilium/cache/identities/v1/berlin/id/4711': 'k8s:app=cart;k8s:odd=a=b\u202e;',
      'cilium/cache/ip/v1/berlin/10.7.0.1': '{"IP":"10.7.0.1","Identity":4711}',
      'cilium/cache/services/v1/berlin/shop/broken': '{"name":',
      'cilium/cluster-config/berlin': '{"id":7}',
      'cilium/synced/berlin/cilium/cache/nodes/v1': '2026-02-03T04:05:06Z',
    });
    const value = async (...args: readonly string[]) => ((await json('get', ...args)) as { readonly value: unknown }).value;
    expect(await value('endpointslices', 'shop/cart-x', '--cluster=berlin')).toEqual({
      cluster: 'berlin',
      clusterID: 7,
      namespace: 'shop',
      name: 'cart-x',
      labels: { 'kubernetes.io/service-name': 'cart' },
      addressType: 'IPv4',
      endpoints: SLICE.endpoints,
      ports: SLICE.ports,
    });
    expect(await value('identities', '4711', '--cluster=berlin')).toEqual({ labels: ['k8s:app=cart', 'k8s:odd=a=b '] });
    expect(await value('endpoints', '10.7.0.1', '--cluster=berlin')).toEqual({ IP: '10.7.0.1', Identity: 4711 });
    expect(await value('cluster-config', 'berlin')).toEqual({ id: 7 });
    expect(await value('synced', 'cilium/cache/nodes/v1', '--cluster=berlin')).toBe('2026-02-03T04:05:06Z');
    expect(await value('services', 'shop/broken', '--cluster=berlin')).toMatchObject({
      undecodable: expect.any(String),
      size: 8,
    });
    const text = await kv('get', 'cluster-config', 'berlin');
    expect(text.stdout).toMatch(/^bytes: 8\nkey: cilium\/cluster-config\/berlin\nrevision: \d+\nvalue:\n {2}id: 7\n$/);
  });

  test('a key that does not exist gives status 1; what is no kind, name or cluster is refused', async () => {
    const missing = await kv('get', 'nodes', 'berlin/nobody', '--cluster=berlin');
    expect(missing).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('the etcd has no cilium/') });
    for (const [args, message] of [
      [['list', 'pods'], 'is not a kind of keys; allowed: nodes, identities'],
      [['list', 'nodes', '--cluster=../x'], 'flag --cluster: '],
      [['get', 'nodes'], 'expected the arguments KIND NAME'],
      [['diff', '../../etc'], '../../etc'],
    ] as const)
      expect(await kv(...args)).toMatchObject({ status: 255, stderr: expect.stringContaining(message) });
  });

  test('list shows the keys of one cluster or of all, and how many it leaves out', async () => {
    const names = Array.from({ length: 5 }, (_, index) => `node-${index}`);
    await local.put({
      ...Object.fromEntries(names.map((name) => [`cilium/cache/nodes/v1/berlin/${name}`, '{}'])),
      'cilium/state/nodes/v1/harbor/own': '{}',
    });
    const keys = async (...args: readonly string[]) =>
      ((await json('list', 'nodes', ...args)) as { readonly keys: readonly { readonly key: string }[] }).keys.map(
        ({ key }) => key,
      );
    expect(await keys('--cluster=harbor')).toEqual(['cilium/state/nodes/v1/harbor/own']);
    expect(await keys('--cluster=berlin')).toEqual(names.map((name) => `cilium/cache/nodes/v1/berlin/${name}`));
    expect((await keys()).length).toBe(6);
    const { stdout } = await kv('list', 'nodes', '--cluster=berlin', '--limit=2');
    expect(stdout).toContain('REVISION');
    expect(stdout).toContain('and 3 more');
  });

  test('watch prints changes until its input ends', async () => {
    const child = startChild(process.execPath, argv('watch', 'services', '--cluster=berlin', '--output=json', '--duration=1m'));
    await using _ = child;
    await until('it was seen', async () => {
      await local.put({ 'cilium/cache/services/v1/berlin/shop/cart': `{"x":${Math.random()}}` });
      await local.delete('cilium/cache/services/v1/berlin/shop/cart');
      return child.stdoutSoFar.includes('deleted');
    });
    child.kill('SIGTERM');
    const lines = (await child.outcome).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { change: string; key: string });
    expect(new Set(lines.map(({ change }) => change))).toEqual(new Set(['created', 'deleted']));
    expect(lines[0]?.key).toBe('cilium/cache/services/v1/berlin/shop/cart');
  });

  test('diff names what is missing, extra and different, and gives status 1', async () => {
    for (const prefix of ['cilium/cache/']) for (const key of Object.keys(await local.dump(prefix))) await local.delete(key);
    const config = (await berlin.dump('cilium/cluster-config/'))['cilium/cluster-config/berlin'] ?? '';
    const { id, capabilities } = JSON.parse(config) as { readonly id: number; readonly capabilities: object };
    const mirrored = { id, capabilities: { syncedCanaries: true, cached: true, ...capabilities } };
    const copy = berlin.keys('1', 'cache');
    await local.put({ ...copy, 'cilium/cluster-config/berlin': JSON.stringify(mirrored) });
    const same = await kv('diff', 'berlin');
    expect(same).toMatchObject({ status: 0, stderr: '' });
    expect(same.stdout).toContain('services        equal (remote 1 at revision');
    await local.put({
      'cilium/cache/services/v1/berlin/shop/1': 'another',
      'cilium/cache/nodes/v1/berlin/ghost': '{}',
    });
    await local.delete('cilium/cache/ip/v1/berlin/10.7.0.1');
    const { status, stdout } = await kv('diff', 'berlin');
    expect(status).toBe(1);
    expect(stdout).toContain('    with different values: cilium/cache/services/v1/berlin/shop/1\n');
    expect(stdout).toContain('    not in the remote cluster: cilium/cache/nodes/v1/berlin/ghost\n');
    expect(stdout).toContain('    missing in the mirror: cilium/cache/ip/v1/berlin/10.7.0.1\n');
    expect((await kv('diff', 'berlin', 'identities')).status).toBe(0);
  });
});
