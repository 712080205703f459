import { describe, expect, test } from 'vitest';
import { keyOf, type LeaseId, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { bytes, history, revisionOf } from '../support/etcd/etcd-client.ts';
import { until } from '../support/until.ts';
import { below, CANARY, contents, publisherFixture, type Rig, settledAs, signal, sync, texts } from './publisher-fixture.ts';

const { start, loaded } = publisherFixture();

/** Resolves when the remaining TTL of `lease` has grown: it is kept alive. */
async function renewed(rig: Rig, lease: LeaseId): Promise<void> {
  let lowest = Number.POSITIVE_INFINITY;
  await until('the lease is renewed', async () => {
    const left = (await rig.client.leaseTimeToLive(lease, { signal: signal() }))?.ttl ?? 0;
    lowest = Math.min(lowest, left);
    return left > lowest;
  });
}

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

  test('writes nothing where etcd holds other bytes of the same meaning', async () => {
    const first = await loaded({ a: 'SAME', b: 'Other', c: 'foreign' });
    const since = await revisionOf(first.rig.client);
    await first.rig.stop();

    const rig = start();
    const section = rig.section({ canonical: (value) => bytes(Buffer.from(value).toString().toLowerCase()) });
    for (const [name, value] of Object.entries({ a: 'same', b: 'changed', c: 'foreign' }))
      section.upsert(below(name), bytes(value));
    await sync(section);
    const written = (await history(rig.client, since)).filter(({ key }) => key.startsWith(below('')));
    expect(written).toHaveLength(1);
    expect(await texts(rig.client)).toEqual({ a: 'SAME', b: 'changed', c: 'foreign' });
  });

  test('keeps the adopted leases alive', async () => {
    const first = await loaded({ a: '1' }, { leaseTtlSeconds: 5 });
    await first.rig.stop();
    const { rig } = await loaded({ a: '1' }, { leaseTtlSeconds: 5 });
    const lease = (await contents(rig.client)).get(below('a'))?.lease ?? (0n as never);
    await renewed(rig, lease);
  });

  test('keeps what it finds alive while its source has not listed anything, canary and single keys included', async () => {
    const config = keyOf('cilium/cluster-config/west');
    const first = await loaded({ a: '1' }, { leaseTtlSeconds: 5, keysPerLease: 1 });
    await first.rig.publisher.singles.put(config, bytes('{}'), signal());
    const since = await revisionOf(first.rig.client);
    await first.rig.stop();

    const rig = start({ leaseTtlSeconds: 5, keysPerLease: 1 });
    rig.section();
    void rig.publisher.singles.keep(config, rig.signal).catch(() => undefined);
    const leases = new Set<LeaseId>();
    for (const key of [below('a'), CANARY, config])
      leases.add((await rig.client.get(key, { signal: signal() }))?.lease ?? NO_LEASE);
    for (const lease of leases) await renewed(rig, lease);
    expect(await history(rig.client, since)).toEqual([]);
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

  test('fault 20: that are revoked lose nothing for long, and only their own keys are written again', async () => {
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
