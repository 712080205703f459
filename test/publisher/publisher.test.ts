import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EtcdKey, keyOf } from '../../src/shared/etcd/types.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd-process.ts';
import { until } from '../support/until.ts';
import {
  below,
  bytes,
  CANARY,
  connect,
  contents,
  history,
  PREFIX,
  type Rig,
  type RigOptions,
  revisionNow,
  settledAs,
  startRig,
  texts,
} from './rig.ts';

let etcd: EtcdProcess;
const outside = () => connect(etcd.endpoint);
const signal = () => AbortSignal.timeout(20_000);
const rigs: Rig[] = [];

function start(options: Omit<RigOptions, 'endpoint'> = {}): Rig {
  const rig = startRig({ endpoint: etcd.endpoint, ...options });
  rigs.push(rig);
  return rig;
}

/** A publisher that has loaded `values` and is synced. */
async function loaded(values: Record<string, string>, options: Omit<RigOptions, 'endpoint'> = {}) {
  const rig = start(options);
  const section = rig.section();
  for (const [name, value] of Object.entries(values)) section.upsert(below(name), bytes(value));
  section.listed();
  await section.whenSynced(signal());
  return { rig, section };
}

beforeAll(async () => {
  etcd = await startEtcd();
});
beforeEach(async () => {
  const client = outside();
  await client.txn([{ type: 'delete', key: keyOf('\0'), end: keyOf('\0') as EtcdKey }], { signal: signal() });
  client.close();
  return async () => {
    await Promise.all(rigs.splice(0).map((rig) => rig.stop()));
  };
});
afterAll(async () => {
  await etcd.stop();
});

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
    const since = await revisionNow(client);

    await loaded({ kept: '1' });
    const events = await history(client, since);
    client.close();

    const removed = events.find((event) => event.type === 'delete' && event.key === below('stale'));
    const canary = events.find((event) => event.key === CANARY);
    expect(removed?.modRevision).toBeLessThan(canary?.modRevision ?? 0);
    expect(events.filter((event) => event.key === below('kept'))).toEqual([]);
  });

  test('keeps below a shared prefix what no lease of ours ever held', async () => {
    const client = outside();
    await client.txn([{ type: 'put', key: below('foreign'), value: bytes('x'), lease: 0n as never }], { signal: signal() });
    const rig = start();
    const section = rig.section({ owns: 'leased' });
    section.upsert(below('mine'), bytes('1'));
    section.listed();
    await section.whenSynced(signal());
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

  test('of a later rank goes on where an earlier rank is never listed', async () => {
    const rig = start();
    rig.section();
    const services = rig.section({
      scope: 'services/v1',
      rank: 2,
      prefix: keyOf('cilium/cache/services/v1/west/'),
      canary: keyOf('cilium/synced/west/s'),
    });
    services.upsert(keyOf('cilium/cache/services/v1/west/s'), bytes('1'));
    services.listed();
    await services.whenSynced(signal());
  });
});

describe('a change', () => {
  test('is written, and an equal one is not', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1' });
    const since = await revisionNow(rig.client);
    section.upsert(below('a'), bytes('1'));
    section.upsert(below('b'), bytes('2'));
    await section.flushed(signal());
    const events = await history(rig.client, since);
    expect(events.map(({ key }) => key)).toEqual([below('b')]);
  });

  test('back and forth before it was written is no write', async () => {
    const { rig, section } = await loaded({ a: '1' });
    const since = await revisionNow(rig.client);
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

  test('outside the prefix, or too large, is counted and harms nothing else', async () => {
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

describe('a restart', () => {
  test('causes no event for what did not change, and keeps the leases', async () => {
    const values = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, `v${i}`]));
    const first = await loaded(values, { keysPerLease: 100 });
    const before = await contents(first.rig.client);
    await first.rig.stop();

    const { rig } = await loaded({ ...values, k7: 'changed' }, { keysPerLease: 100 });
    const after = await contents(rig.client);
    const touched = [...after].filter(([key, { modRevision }]) => before.get(key)?.modRevision !== modRevision);
    expect(touched.map(([key]) => key)).toEqual([below('k7')]);
    expect([...after].every(([key, { lease }]) => before.get(key)?.lease === lease)).toBe(true);
  });

  test('keeps the adopted leases alive', async () => {
    const first = await loaded({ a: '1' }, { leaseTtlSeconds: 5 });
    await first.rig.stop();
    const { rig } = await loaded({ a: '1' }, { leaseTtlSeconds: 5 });
    const lease = (await contents(rig.client)).get(below('a'))?.lease ?? (0n as never);
    const left = (await rig.client.leaseTimeToLive(lease, { signal: signal() }))?.ttl ?? 0;
    await until(
      'the lease is renewed',
      async () => ((await rig.client.leaseTimeToLive(lease, { signal: signal() }))?.ttl ?? 0) > Math.min(left, 3),
    );
  });

  test('with another lease duration moves the keys, their values untouched', async () => {
    const first = await loaded({ a: '1', b: '2' }, { leaseTtlSeconds: 60 });
    await first.rig.stop();
    const { rig } = await loaded({ a: '1', b: '2' }, { leaseTtlSeconds: 120 });
    await until('every key hangs on a lease of the new duration', async () => {
      const leases = [...(await contents(rig.client)).values()].map(({ lease }) => lease);
      const granted = await Promise.all(
        leases.map(async (lease) => (await rig.client.leaseTimeToLive(lease, { signal: signal() }))?.grantedTtl),
      );
      return granted.every((ttl) => ttl === 120);
    });
    expect(await texts(rig.client)).toEqual({ a: '1', b: '2' });
  });
});

describe('leases', () => {
  test('carry a bounded number of keys', async () => {
    const values = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`k${i}`, 'v']));
    const { rig } = await loaded(values, { keysPerLease: 100 });
    const keys = new Map<bigint, number>();
    for (const { lease } of (await contents(rig.client)).values()) keys.set(lease, (keys.get(lease) ?? 0) + 1);
    expect(Math.max(...keys.values())).toBeLessThanOrEqual(100);
    expect(keys.size).toBeLessThanOrEqual(5);
  });

  test('that are revoked lose nothing for long, and only their own keys are written again', async () => {
    const values = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, `v${i}`]));
    const { rig } = await loaded(values, { keysPerLease: 100 });
    const before = await contents(rig.client);
    const victim = before.get(below('k0'))?.lease ?? (0n as never);
    await rig.client.revokeLease(victim, { signal: signal() });
    await settledAs(rig.client, values);
    const after = await contents(rig.client);
    const untouched = [...before.values()].filter(({ lease }) => lease !== victim);
    expect(untouched.length).toBeGreaterThan(0);
    for (const keyValue of untouched) expect(after.get(keyValue.key)?.modRevision).toBe(keyValue.modRevision);
  });
});

describe('repair', () => {
  test('puts back a key, and a canary, that somebody deleted', async () => {
    const { rig } = await loaded({ a: '1', b: '1' });
    await rig.client.txn(
      [
        { type: 'delete', key: below('a') },
        { type: 'delete', key: CANARY },
      ],
      { signal: signal() },
    );
    await settledAs(rig.client, { a: '1', b: '1' });
    const canary = await until('the canary is back', () => rig.client.get(CANARY, { signal: signal() }));
    expect(canary.modRevision).toBeGreaterThan((await contents(rig.client)).get(below('a'))?.modRevision ?? 0);
    expect(rig.recorded.repairs.get('deleted')).toBe(2);
  });

  test('finds by audit a key that was overwritten and one that nobody desires', async () => {
    const { rig } = await loaded({ a: '1' }, { auditIntervalMs: 50 });
    await rig.client.txn(
      [
        { type: 'put', key: below('a'), value: bytes('tampered'), lease: 0n as never },
        { type: 'put', key: below('foreign'), value: bytes('x'), lease: 0n as never },
      ],
      { signal: signal() },
    );
    await settledAs(rig.client, { a: '1' });
    expect(rig.recorded.repairs.get('overwritten')).toBe(1);
    expect(rig.recorded.repairs.get('foreign')).toBe(1);
  });

  test('leaves alone what another replica wrote with the same value', async () => {
    const { rig } = await loaded({ a: '1' }, { auditIntervalMs: 50 });
    const lease = (await contents(rig.client)).get(below('a'))?.lease ?? (0n as never);
    await rig.client.txn([{ type: 'put', key: below('a'), value: bytes('1'), lease }], { signal: signal() });
    const revision = (await contents(rig.client)).get(below('a'))?.modRevision;
    await rig.client.txn([{ type: 'put', key: below('proof'), value: bytes('x'), lease: 0n as never }], { signal: signal() });
    await until('an audit went by', () => rig.recorded.repairs.get('foreign') === 1);
    expect((await contents(rig.client)).get(below('a'))?.modRevision).toBe(revision);
  });

  test('restores single keys at once, deleted or overwritten', async () => {
    const key = keyOf('cilium/cluster-config/west');
    const rig = start();
    await rig.publisher.singles.put(key, bytes('{"id":2}'), signal());
    await rig.client.txn([{ type: 'delete', key }], { signal: signal() });
    await until('the deleted key is back', () => rig.client.get(key, { signal: signal() }));
    await rig.client.txn([{ type: 'put', key, value: bytes('junk'), lease: 0n as never }], { signal: signal() });
    await until(
      'the value is back',
      async () => (await rig.client.get(key, { signal: signal() }))?.value.toString() === '{"id":2}',
    );
  });
});

describe('the local etcd', () => {
  test('that comes back empty is filled again, the canary last', async () => {
    const { rig } = await loaded({ a: '1', b: '2' });
    await rig.publisher.singles.put(keyOf('cilium/cluster-config/west'), bytes('{}'), signal());
    await etcd.restart({ wipe: true });
    await settledAs(rig.client, { a: '1', b: '2' });
    const canary = await until('the canary is back', () => rig.client.get(CANARY, { signal: signal() }));
    await until('the config is back', () => rig.client.get(keyOf('cilium/cluster-config/west'), { signal: signal() }));
    const data = Math.max(...[...(await contents(rig.client)).values()].map(({ modRevision }) => modRevision));
    expect(canary.modRevision).toBeGreaterThan(data);
  });

  test('that is away takes up the latest of what happened meanwhile', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1' });
    await etcd.stop();
    section.upsert(below('a'), bytes('2'));
    section.upsert(below('a'), bytes('3'));
    section.remove(below('b'));
    section.upsert(below('c'), bytes('1'));
    await until('the publisher says that its writes fail', () => rig.publisher.stats.failing !== undefined, { withinMs: 20_000 });
    await etcd.restart();
    await settledAs(rig.client, { a: '3', c: '1' });
  });

  test('that allows fewer operations than expected is found out once', async () => {
    const strict = await startEtcd({ args: ['--max-txn-ops=16'] });
    const rig = startRig({ endpoint: strict.endpoint });
    const section = rig.section();
    for (let i = 0; i < 500; i += 1) section.upsert(below(`k${i}`), bytes('v'));
    section.listed();
    await section.whenSynced(signal());
    expect(Object.keys(await texts(rig.client))).toHaveLength(500);
    await rig.stop();
    await strict.stop();
  });
});
