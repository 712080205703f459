import { describe, expect, onTestFinished, test } from 'vitest';
import { clusterKeys } from '../../bench/light/cluster-keys.ts';
import { LightEtcd } from '../../bench/light/light-etcd.ts';
import { LightStore } from '../../bench/light/store.ts';
import { type EtcdClient, keyOf, NO_LEASE, type Revision, type TxnOperation } from '../../src/shared/etcd/types.ts';
import { connect, listAll, revisionOf, soon } from '../support/etcd/etcd-client.ts';
import { etcdForTest, record, seen } from '../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { until } from '../support/until.ts';

/** Identities from 98,560 on and addresses from 10.4 on: neither is in byte order when counted. */
const CLUSTER = { name: 'berlin', id: 3, shape: { nodes: 12, identities: 1500, services: 200, backends: 3, endpoints: 1400 } };

async function lightEtcd(): Promise<{ light: LightEtcd; endpoint: string; port: number; client: EtcdClient }> {
  const store = new LightStore(clusterKeys(CLUSTER));
  const light = new LightEtcd({ store, clusterId: 77n, host: '127.0.0.1', port: 0 });
  const port = await light.listen();
  onTestFinished(() => light.close());
  const endpoint = `http://127.0.0.1:${port}`;
  return { light, endpoint, port, client: connect(endpoint) };
}

/** A real etcd with the keys of the light one. */
async function copyOf(client: EtcdClient): Promise<EtcdProcess> {
  const etcd = await etcdForTest();
  const copy = connect(etcd.endpoint);
  const keyValues = await listAll(client, 'cilium/');
  for (let at = 0; at < keyValues.length; at += 100) {
    const puts = keyValues.slice(at, at + 100).map(({ key, value }) => ({ type: 'put', key, value, lease: NO_LEASE }) as const);
    await copy.txn(puts, soon());
  }
  return etcd;
}

const text = (keyValues: readonly { key: string; value: Buffer }[]) => keyValues.map(({ key, value }) => `${key}=${value}`);

describe.skipIf(etcdVersions().length === 0)('a light etcd', () => {
  test('has its keys in the order of etcd, each found by itself, by page and by count', async () => {
    const { light, client } = await lightEtcd();
    const keys = light.store.kinds.flatMap(({ prefix, count, name }) =>
      Array.from({ length: count }, (_, at) => prefix + name(at)),
    );
    expect(keys).toEqual([...keys].sort());
    const found = await listAll(client, 'cilium/');
    expect(found.map(({ key }) => String(key))).toEqual(keys);
    const real = connect((await copyOf(client)).endpoint);
    expect(text(await listAll(real, 'cilium/'))).toEqual(text(found));
    for (const at of [0, 1, 17, 900, keys.length - 1]) {
      const key = keyOf(keys[at] as string);
      expect((await client.get(key, soon()))?.value).toEqual((await real.get(key, soon()))?.value);
      for (const etcd of [client, real]) {
        for await (const page of etcd.list(keyOf('cilium/'), { ...soon(), start: key, pageSize: 7 })) {
          expect(page.total).toBe(keys.length - at);
          break;
        }
      }
    }
  });

  test('answers later pages as of the first one, and a watch from then on with what has changed', async () => {
    const { light, client } = await lightEtcd();
    const { store } = light;
    const kind = store.kinds.findIndex(({ prefix }) => prefix.includes('/ip/'));
    const before = text(await listAll(client, 'cilium/state/ip/'));
    const from = (await revisionOf(client)) + 1;
    const listed: string[] = [];
    for await (const page of client.list(keyOf('cilium/state/ip/'), { ...soon(), pageSize: 100 })) {
      for (const position of [1300, 1301]) store.change(kind, position, listed.length + 1);
      store.change(kind, 1302, listed.length % 200 === 0 ? undefined : 5);
      listed.push(...text(page.keyValues));
    }
    expect(listed).toEqual(before);
    const watch = record(client, 'cilium/state/ip/', from);
    store.change(kind, 3, 9);
    const events = await seen(watch, store.revision - from + 1);
    expect(events.map(({ modRevision }) => modRevision)).toEqual(events.map((_, at) => from + at));
    expect(events.at(-1)).toMatchObject({ type: 'put', key: store.keyOf(kind, 3) });
  });

  test('refuses a revision that it does not have or has no longer, as etcd does', async () => {
    const { light, client } = await lightEtcd();
    const kind = light.store.kinds.findIndex(({ prefix }) => prefix.includes('/nodes/'));
    const first = await revisionOf(client);
    await expect(client.get(keyOf('x'), { ...soon(), revision: (first + 9) as Revision })).rejects.toMatchObject({
      name: 'FutureRevisionError',
    });
    for (let change = 1; change < 9_000; change += 1) light.store.change(kind, change % 12, change);
    await expect(client.get(keyOf('x'), { ...soon(), revision: first })).rejects.toMatchObject({ name: 'CompactedError' });
    const watch = record(client, 'cilium/state/nodes/', first);
    await until('the watch ends', watch.hasEnded);
    expect(watch.last()?.kind).toBe('compacted');
  });

  test('is mirrored as a real etcd with the same keys and changes is, over a restart with another cluster ID too', async () => {
    const { light, endpoint, port, client } = await lightEtcd();
    const original = await copyOf(client);
    const writer = connect(original.endpoint);
    const locals = [await etcdForTest(), await etcdForTest()];
    const clients = locals.map((local) => connect(local.endpoint));
    for (const [at, source] of [endpoint, original.endpoint].entries()) {
      const directory = new ConfigDirectory();
      directory.write('berlin', `endpoints: ["${source}"]\n`);
      const flags = ['--max-connected-clusters=511'];
      const run = await KvstoremeshRun.start(`etcd.address=${locals[at]?.endpoint}`, directory, { flags });
      onTestFinished(() => run[Symbol.asyncDispose]());
    }
    const mirrored = async () => Promise.all(clients.map(async (each) => text(await listAll(each, 'cilium/cache/'))));
    const equal = async (count: number) => {
      const [fromLight = [], fromReal = []] = await mirrored();
      return fromLight.length === count && fromLight.join('\n') === fromReal.join('\n');
    };
    await until('both mirrors are complete', () => equal(3112), {
      status: () => mirrored().then((all) => all.map((keys) => keys.length)),
    });

    const { store } = light;
    const change = async (kind: number, position: number, generation: number | undefined) => {
      store.change(kind, position, generation);
      const key = keyOf(store.keyOf(kind, position));
      const operation: TxnOperation =
        generation === undefined
          ? { type: 'delete', key }
          : { type: 'put', key, value: store.valueOf(kind, position, generation), lease: NO_LEASE };
      await writer.txn([operation], soon());
    };
    for (const [kind, { prefix, count }] of store.kinds.entries()) {
      if (!prefix.startsWith('cilium/state/')) continue;
      for (const position of [0, 5, count - 1]) await change(kind, position, 1_000_000 + position);
      await change(kind, 7, undefined);
      await change(kind, 8, undefined);
      await change(kind, 8, 2_000_000);
    }
    await until('both mirrors follow', () => equal(3108));

    await light.close();
    light.clusterId = 78n;
    store.change(2, 20, undefined);
    await writer.txn([{ type: 'delete', key: keyOf(store.keyOf(2, 20)) }], soon());
    expect(await light.listen(port)).toBe(port);
    await until('both mirrors follow after the restart', () => equal(3107));
  });
});
