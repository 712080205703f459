/** Endpoints that a selector exports or holds back, and the identities that go with them. */
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../cluster-model.ts';
import { SelectionModel } from './selection-model.ts';

const YES = { sync: 'true' };
const NO = { sync: 'false' };
type Labels = Readonly<Record<string, string>>;

const namespace = (name: string, isGlobal = 'true') =>
  ({ kind: 'Namespace', metadata: { name, annotations: { 'clustermesh.cilium.io/global': isGlobal } } }) as Manifest;

function identity(id: number, labels: Labels = {}, ofNamespace = 'shop'): Manifest {
  const own = Object.fromEntries(Object.entries(labels).map(([name, value]) => [`k8s:${name}`, value]));
  const security = { ...own, 'k8s:io.kubernetes.pod.namespace': ofNamespace };
  return { kind: 'CiliumIdentity', metadata: { name: `${id}` }, 'security-labels': security } as Manifest;
}

function endpoint(name: string, labels: Labels | undefined, id = 1000, address = '10.0.0.1', second = 1): Manifest {
  const status = { identity: { id }, networking: { addressing: [{ ipv4: address }] } };
  const creationTimestamp = `2026-01-01T00:00:0${second}Z`;
  const metadata = { name, namespace: 'shop', creationTimestamp, ...(labels && { labels }) };
  return { kind: 'CiliumEndpoint', metadata, status } as Manifest;
}

type SlicePod = readonly [name: string, id: number, address: string];

function slice(name: string, ...pods: readonly SlicePod[]): Manifest {
  const endpoints = pods.map(([pod, id, ipv4]) => ({ name: pod, id, networking: { addressing: [{ ipv4 }] } }));
  return { kind: 'CiliumEndpointSlice', metadata: { name }, namespace: 'shop', endpoints } as Manifest;
}

async function running(selector: string, ...manifests: readonly Manifest[]): Promise<SelectionModel> {
  const usesEndpointSlices = manifests.some(({ kind }) => kind === 'CiliumEndpointSlice');
  const model = new SelectionModel({ selector, usesEndpointSlices, turns: () => 3 });
  model.apply(namespace('shop'), ...manifests);
  model.listed();
  await model.settled();
  return model;
}

const ID = 'cilium/state/identities/v1/id/';
const IP = 'cilium/state/ip/v1/default/';
const wordsOf = ({ journal }: SelectionModel, from = 0) => journal.calls.slice(from).map(({ verb, key }) => `${verb} ${key}`);

describe('which', () => {
  test('the labels of the Pod decide, not those of its identity', async () => {
    const model = await running(
      'sync=true',
      identity(1000, NO),
      identity(1001, YES),
      endpoint('in', YES, 1000, '10.0.0.1'),
      endpoint('out', NO, 1001, '10.0.0.2'),
    );
    expect(model.exported()).toEqual({ identities: ['1000'], addresses: { '10.0.0.1': 'shop/in 1000' } });
    expect(model.counts.total).toEqual({ exported: 1, heldBack: 1 });
  });

  test('the labels of the identity decide about an endpoint without labels', async () => {
    const pods = [endpoint('in', undefined, 1001, '10.0.0.1'), endpoint('out', undefined, 1000, '10.0.0.2')];
    const model = await running('sync in (true)', identity(1000, NO), identity(1001, YES), ...pods);
    expect(model.exported()).toEqual({ identities: ['1001'], addresses: { '10.0.0.1': 'shop/in 1001' } });
  });

  test('the labels of the identity decide about the entries of a slice, each by itself', async () => {
    const pods = slice('a', ['in', 1001, '10.0.0.1'], ['out', 1000, '10.0.0.2'], ['in-too', 1001, '10.0.0.3']);
    const model = await running('sync=true', identity(1000, NO), identity(1001, YES), pods);
    const addresses = { '10.0.0.1': 'shop/in 1001', '10.0.0.3': 'shop/in-too 1001' };
    expect(model.exported()).toEqual({ identities: ['1001'], addresses });
    expect(model.counts.total).toEqual({ exported: 2, heldBack: 1 });
  });

  test('an entry whose labels are not known is held back, also by a selector that no label matches', async () => {
    const model = await running('!internal', slice('a', ['well-known', 102, '10.0.0.1'], ['no-object', 1000, '10.0.0.2']));
    expect(model.exported()).toEqual({ identities: [], addresses: {} });
    model.apply(identity(1000));
    await model.settled();
    expect(model.exported()).toEqual({ identities: ['1000'], addresses: { '10.0.0.2': 'shop/no-object 1000' } });
  });

  test('labels of other sources than the Pod are none of the Pod', async () => {
    const reserved = { ...identity(1000), 'security-labels': { 'any:sync': 'true', 'k8s:io.kubernetes.pod.namespace': 'shop' } };
    const model = await running('sync', reserved as Manifest, slice('a', ['pod', 1000, '10.0.0.1']));
    expect(model.exported().addresses).toEqual({});
  });

  test('an endpoint without an identity, or with one that has no object, is exported by its own labels', async () => {
    const model = await running('sync', endpoint('none', YES, 0, '10.0.0.1'), endpoint('init', YES, 5, '10.0.0.2'));
    const late = endpoint('late', YES, 1000, '10.0.0.3');
    model.apply(late, endpoint('health', YES, 4, '10.0.0.4'));
    await model.settled();
    expect(model.exported().identities).toEqual([]);
    expect(Object.keys(model.exported().addresses)).toHaveLength(4);
  });

  test('an address of a Pod that is held back is not exported as that of the Pod that had it before', async () => {
    const old = endpoint('old', YES, 1000, '10.0.0.1', 1);
    const now = endpoint('now', NO, 1001, '10.0.0.1', 2);
    for (const order of [
      [old, now],
      [now, old],
    ]) {
      const model = await running('sync=true', identity(1000, YES), identity(1001, NO), ...order);
      expect(model.exported().addresses).toEqual({});
      model.apply(endpoint('now', YES, 1001, '10.0.0.1', 2));
      await model.settled();
      expect(model.exported().addresses).toEqual({ '10.0.0.1': 'shop/now 1001' });
      model.apply(now);
      await model.settled();
      expect(model.exported().addresses).toEqual({});
      model.remove(now);
      await model.settled();
      expect(model.exported().addresses).toEqual({ '10.0.0.1': 'shop/old 1000' });
    }
  });
});

describe('order', () => {
  test('the identity comes before the endpoint that is selected now, and leaves after it', async () => {
    const model = await running('sync=true', identity(1000), endpoint('web', NO));
    expect(wordsOf(model)).toEqual([]);
    model.apply(endpoint('web', YES));
    await model.settled();
    model.apply(endpoint('web', NO));
    await model.settled();
    const [id, ip] = [`${ID}1000`, `${IP}10.0.0.1`];
    expect(wordsOf(model)).toEqual([`upsert ${id}`, `upsert ${ip}`, `remove ${ip}`, `remove ${id}`]);
  });

  test('an endpoint that moves to another identity never refers to one that is not there', async () => {
    const model = await running('sync=true', identity(1000), identity(1001), endpoint('web', YES, 1000));
    const from = model.journal.calls.length;
    model.apply(endpoint('web', YES, 1001));
    await model.settled();
    expect(wordsOf(model, from)).toEqual([`upsert ${ID}1001`, `upsert ${IP}10.0.0.1`, `remove ${ID}1000`]);
    expect(model.exported()).toEqual({ identities: ['1001'], addresses: { '10.0.0.1': 'shop/web 1001' } });
  });

  test('a slice that needs several new identities gets all of them first, however long each takes', async () => {
    const three = [identity(1000, YES), identity(1001, YES), identity(1002, YES)];
    const model = await running('sync=true', identity(1000, YES), slice('a'));
    model.apply(slice('a', ['x', 1000, '10.0.0.1'], ['y', 1001, '10.0.0.2'], ['z', 1002, '10.0.0.3']));
    await model.settled();
    expect(model.exported().addresses).toEqual({ '10.0.0.1': 'shop/x 1000' });
    model.apply(...three);
    await model.settled();
    expect(model.exported().identities).toEqual(['1000', '1001', '1002']);
    expect(Object.keys(model.exported().addresses)).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    const words = wordsOf(model).filter((word) => word.startsWith(`upsert ${IP}`));
    expect(wordsOf(model).lastIndexOf(`upsert ${ID}1002`)).toBeLessThan(wordsOf(model).indexOf(words[1] ?? ''));
    expect(wordsOf(model).some((word) => word.startsWith('remove'))).toBe(false);
  });

  test('an endpoint waits for the object of its identity, and not for ever', async () => {
    const model = await running('sync=true');
    model.apply(endpoint('web', YES, 1000), endpoint('api', YES, 1001, '10.0.0.2'));
    await model.turns();
    expect(wordsOf(model)).toEqual([]);
    model.apply(identity(1000));
    await model.turns();
    expect(wordsOf(model)).toEqual([`upsert ${ID}1000`, `upsert ${IP}10.0.0.1`]);
    await model.settled();
    expect(Object.keys(model.exported().addresses)).toEqual(['10.0.0.1', '10.0.0.2']);
    model.apply(identity(1001));
    await model.settled();
    expect(model.exported().identities).toEqual(['1000', '1001']);
  });

  test('the endpoints of an identity that is deleted leave before it, if its labels decided', async () => {
    const model = await running('sync=true', identity(1000, YES), slice('a', ['web', 1000, '10.0.0.1']));
    const from = model.journal.calls.length;
    let inEtcd: ReadonlySet<string | undefined> | undefined;
    model.journal.onCall = ({ key }) => {
      if (key === `${ID}1000`) inEtcd = model.journal.possible(`${IP}10.0.0.1`);
    };
    // Another change, so that identities are evaluated before the endpoints.
    model.apply(identity(1001));
    model.remove(identity(1000));
    await model.settled();
    expect(wordsOf(model, from)).toEqual([`remove ${IP}10.0.0.1`, `remove ${ID}1000`]);
    expect(inEtcd).toEqual(new Set([undefined]));
  });

  test('an endpoint with labels of its own stays when its identity is deleted', async () => {
    const model = await running('sync=true', identity(1000), endpoint('web', YES));
    model.remove(identity(1000));
    await model.settled();
    expect(model.exported()).toEqual({ identities: [], addresses: { '10.0.0.1': 'shop/web 1000' } });
    model.apply(identity(1000));
    await model.settled();
    expect(model.exported().identities).toEqual(['1000']);
  });

  test('a namespace takes its endpoints along first, then the identities that nobody uses any more', async () => {
    const model = await running('sync=true', identity(1000), identity(1001, NO), endpoint('web', YES));
    const from = model.journal.calls.length;
    model.apply(namespace('shop', 'false'));
    await model.settled();
    expect(wordsOf(model, from)).toEqual([`remove ${IP}10.0.0.1`, `remove ${ID}1000`]);
    expect(model.counts.total).toEqual({ exported: 0, heldBack: 0 });
    model.remove(namespace('shop'));
    model.apply(namespace('shop'));
    await model.settled();
    expect(model.exported()).toEqual({ identities: ['1000'], addresses: { '10.0.0.1': 'shop/web 1000' } });
  });

  test('an entry that moves to another slice keeps its keys', async () => {
    const model = await running('sync=true', identity(1000, YES), slice('a', ['web', 1000, '10.0.0.1']), slice('b'));
    const from = model.journal.calls.length;
    model.apply(slice('b', ['web', 1000, '10.0.0.1']), slice('a'));
    await model.settled();
    expect(wordsOf(model, from).filter((word) => word.startsWith('remove'))).toEqual([]);
  });

  test('a restart removes an address that belongs to a Pod which is held back, and writes nothing first', async () => {
    const objects = [namespace('shop'), identity(1000, YES), identity(1001, NO), endpoint('old', YES, 1000, '10.0.0.1', 1)];
    const before = new SelectionModel({ selector: 'sync=true' });
    before.apply(...objects);
    before.listed();
    await before.settled();
    const earlier = { ...before.sections['identities/v1'].texts(), ...before.sections['ip/v1'].texts() };
    const model = new SelectionModel({ selector: 'sync=true', earlier });
    model.apply(...objects, endpoint('now', NO, 1001, '10.0.0.1', 2));
    model.listed();
    await model.settled();
    expect(model.exported()).toEqual({ identities: ['1000'], addresses: {} });
    const changes = model.journal.calls.filter(({ key, value }) => earlier[key] !== value);
    expect(changes.map(({ verb, key }) => `${verb} ${key}`)).toEqual([`remove ${IP}10.0.0.1`]);
  });

  test('a restart removes what no endpoint uses after the addresses of the earlier run, and touches nothing else', async () => {
    const objects = [
      namespace('shop'),
      identity(1000),
      identity(1001),
      endpoint('web', YES, 1000),
      endpoint('old', NO, 1001, '10.0.0.2'),
    ];
    const before = new SelectionModel({ selector: 'sync' });
    before.apply(...objects);
    before.listed();
    await before.settled();
    const earlier = { ...before.sections['identities/v1'].texts(), ...before.sections['ip/v1'].texts() };
    expect(Object.keys(earlier)).toHaveLength(4);
    const model = new SelectionModel({ selector: 'sync=true', earlier });
    model.apply(...objects);
    model.listed();
    await model.settled();
    const changes = model.journal.calls.filter(({ key, value }) => earlier[key] !== value);
    expect(changes.map(({ verb, key }) => `${verb} ${key}`)).toEqual([`remove ${IP}10.0.0.2`, `remove ${ID}1001`]);
  });
});
