import { describe, expect, test } from 'vitest';
import { type EtcdKey, keyOf } from '../../src/shared/etcd/types.ts';
import { bytes, history, revisionOf } from '../support/etcd/etcd-client.ts';
import { below, CANARY, contents, PREFIX, publisherFixture, settledAs, signal, sync, texts } from './publisher-fixture.ts';

const fixture = publisherFixture();
const { outside, start, loaded } = fixture;

describe('a first load', () => {
  test('writes what the source named, all of it leased, and the canary after the last of it', async () => {
    const { rig } = await loaded({ a: '1', b: '2' });
    const found = await contents(rig.client);
    const canary = await rig.client.get(CANARY, { signal: signal() });

    expect(await texts(rig.client)).toEqual({ a: '1', b: '2' });
    expect([...found.values()].every(({ lease }) => lease !== 0n)).toBe(true);
    expect(canary?.value.toString()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(canary?.modRevision).toBeGreaterThan(Math.max(...[...found.values()].map(({ modRevision }) => modRevision)));
  });

  test('of an empty source still writes the canary', async () => {
    const { rig } = await loaded({});
    expect(await rig.client.get(CANARY, { signal: signal() })).toBeDefined();
  });

  test('does not write the canary before the source has listed everything', async () => {
    const rig = start();
    const section = rig.section();
    section.upsert(below('a'), bytes('1'));
    await settledAs(rig.client, { a: '1' });
    expect(section.stats.synced).toBe(false);
    expect(await rig.client.get(CANARY, { signal: signal() })).toBeUndefined();
  });

  test('removes what an earlier run left and the listing does not name, before the canary', async () => {
    const first = await loaded({ kept: '1', stale: '2' });
    await first.rig.stop();
    const client = outside();
    const since = await revisionOf(client);

    await loaded({ kept: '1' });
    const events = await history(client, since);
    client.close();

    const removed = events.find((event) => event.type === 'delete' && event.key === below('stale'));
    const canary = events.find((event) => event.key === CANARY);
    expect(removed?.modRevision).toBeLessThan(canary?.modRevision ?? 0);
    expect(events.filter((event) => event.key === below('kept'))).toEqual([]);
  });

  test('reports the keys of an earlier run, before anything is written', async () => {
    const first = await loaded({ a: '1' });
    await first.rig.stop();
    const rig = start();
    const section = rig.section();
    expect(section.compare(below('a'), bytes('1'))).toBeUndefined();
    await section.whenEtcdListed(signal());
    await section.whenEtcdListed(signal());
    const compared = [section.compare(below('a'), bytes('1')), section.compare(below('a'), bytes('2'))];
    expect([...compared, section.compare(below('b'), bytes('1'))]).toEqual(['same', 'other', 'absent']);
  });

  test('keeps below a shared prefix what no lease of ours ever held', async () => {
    const client = outside();
    await client.txn([{ type: 'put', key: below('foreign'), value: bytes('x'), lease: 0n as never }], { signal: signal() });
    const rig = start();
    const section = rig.section({ owns: 'leased' });
    section.upsert(below('mine'), bytes('1'));
    await sync(section);
    client.close();
    expect(await texts(rig.client)).toEqual({ foreign: 'x', mine: '1' });
  });

  test('of a later rank follows the earlier ranks of its cluster', async () => {
    const rig = start({ maxTxnOperations: 4 });
    const services = rig.section({
      scope: 'services/v1',
      rank: 2,
      prefix: keyOf('cilium/cache/services/v1/west/'),
      canary: keyOf('cilium/synced/west/s'),
    });
    const nodes = rig.section();
    for (let i = 0; i < 40; i += 1) services.upsert(keyOf(`cilium/cache/services/v1/west/s${i}`), bytes('1'));
    for (let i = 0; i < 40; i += 1) nodes.upsert(below(`n${i}`), bytes('1'));
    services.listed();
    nodes.listed();
    await Promise.all([services.whenSynced(signal()), nodes.whenSynced(signal())]);

    const lastNode = Math.max(...[...(await contents(rig.client)).values()].map(({ modRevision }) => modRevision));
    const firstService = Math.min(
      ...[...(await contents(rig.client, keyOf('cilium/cache/services/v1/west/'))).values()].map(
        ({ modRevision }) => modRevision,
      ),
    );
    expect(firstService).toBeGreaterThan(lastNode);
  });

  test('of a later rank continues if an earlier rank is never listed', async () => {
    const rig = start();
    rig.section();
    const services = rig.section({
      scope: 'services/v1',
      rank: 2,
      prefix: keyOf('cilium/cache/services/v1/west/'),
      canary: keyOf('cilium/synced/west/s'),
    });
    services.upsert(keyOf('cilium/cache/services/v1/west/s'), bytes('1'));
    await sync(services);
  });
});

describe('a change', () => {
  test('is written, and an equal one is not', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1' });
    const since = await revisionOf(rig.client);
    section.upsert(below('a'), bytes('1'));
    section.upsert(below('b'), bytes('2'));
    await section.flushed(signal());
    const events = await history(rig.client, since);
    expect(events.map(({ key }) => key)).toEqual([below('b')]);
  });

  test('fault 25: back and forth before it was written is no write', async () => {
    const { rig, section } = await loaded({ a: '1' });
    const since = await revisionOf(rig.client);
    section.upsert(below('a'), bytes('2'));
    section.upsert(below('a'), bytes('1'));
    section.upsert(below('b'), bytes('new'));
    section.remove(below('b'));
    await section.flushed(signal());
    expect(await history(rig.client, since)).toEqual([]);
  });

  test('goes with all others of its turn in one transaction', async () => {
    const { rig, section } = await loaded({});
    const before = rig.recorded.transactions;
    for (let i = 0; i < 100; i += 1) section.upsert(below(`k${i}`), bytes('1'));
    await section.flushed(signal());
    expect(rig.recorded.transactions - before).toBeLessThanOrEqual(8);
    expect(Object.keys(await texts(rig.client))).toHaveLength(100);
  });

  test('that removes a key leaves nothing of it', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1' });
    section.remove(below('a'));
    await section.flushed(signal());
    expect(await texts(rig.client)).toEqual({ b: '1' });
  });

  test('keeps bytes that are not text exactly as they are', async () => {
    const { rig, section } = await loaded({});
    const key = Buffer.from([...Buffer.from(PREFIX), 0, 0xff, 0xfe, 0x2f, 0x2e]).toString('latin1') as EtcdKey;
    const value = Buffer.from([0, 0xff, 0xc3, 0x28, 0]);
    section.upsert(key, value);
    section.upsert(below('empty'), new Uint8Array());
    await section.flushed(signal());
    const found = await contents(rig.client);
    expect(found.get(key)?.value).toEqual(value);
    expect(found.get(below('empty'))?.value).toHaveLength(0);
  });

  test('fault 24: outside the prefix, or too large, is counted and harms nothing else', async () => {
    const { rig, section } = await loaded({});
    section.upsert(keyOf('cilium/cache/nodes/v1/other/x'), bytes('1'));
    section.upsert(PREFIX, bytes('1'));
    section.upsert(below('big'), Buffer.alloc(2 * 1024 * 1024));
    section.upsert(below(`long${'x'.repeat(9000)}`), bytes('1'));
    section.upsert(below('good'), bytes('1'));
    await section.flushed(signal());
    expect(await texts(rig.client)).toEqual({ good: '1' });
    expect(rig.recorded.rejections).toEqual(['outside_prefix', 'outside_prefix', 'value_too_large', 'key_too_large']);
  });
});

describe('a new listing', () => {
  test('removes what it does not name, and only once it is complete', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1', c: '1' });
    section.interrupted('compacted');
    section.upsert(below('a'), bytes('1'));
    await section.flushed(signal());
    expect(await texts(rig.client)).toEqual({ a: '1', b: '1', c: '1' });
    section.interrupted('cut');
    section.upsert(below('b'), bytes('2'));
    section.listed();
    await settledAs(rig.client, { b: '2' });
  });
});
