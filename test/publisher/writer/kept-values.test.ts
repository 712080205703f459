/**
 * A rejected value leaves the earlier one in etcd, even if only etcd has the earlier one.
 */

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { EtcdClient } from '../../../src/shared/etcd/types.ts';
import { bytes, revisionOf } from '../../support/etcd/etcd-client.ts';
import { type EtcdProcess, startEtcd } from '../../support/etcd/etcd-process.ts';
import { until } from '../../support/until.ts';
import {
  below,
  CANARY,
  contents,
  PREFIX,
  publisherFixture,
  type Rig,
  settledAs,
  signal,
  startRig,
  sync,
} from '../publisher-fixture.ts';

const fixture = publisherFixture();
const { start, loaded } = fixture;

const TOO_LARGE = Buffer.alloc(2 * 1024 * 1024, 'x');
/** Taken by the publisher, but not by an etcd with a small `--max-request-bytes`. */
const LARGE = Buffer.alloc(300_000, 'x');

/** The next publisher with its section, after one that wrote `values`. */
async function restarted(values: Record<string, string>, options?: Parameters<typeof start>[0]) {
  const first = await loaded(values);
  await first.rig.stop();
  const rig = start(options);
  return { rig, section: rig.section() };
}

describe('a key kept by its source', () => {
  test('stays over a restart as etcd holds it, while keys that are not named go', async () => {
    const first = await loaded({ kept: '1', named: '1', stale: '1' });
    const before = (await contents(first.rig.client)).get(below('kept'));
    await first.rig.stop();

    const rig = start();
    const section = rig.section();
    section.keep(below('kept'));
    section.keep(below('never there'));
    section.upsert(below('named'), bytes('2'));
    await sync(section);

    await settledAs(rig.client, { kept: '1', named: '2' });
    expect((await contents(rig.client)).get(below('kept'))?.modRevision).toBe(before?.modRevision);
    expect(section.stats.desired).toBe(2);
  });

  test('stays if the source reports it only after etcd was listed', async () => {
    const { rig, section } = await restarted({ kept: '1', stale: '1' });
    await section.whenEtcdListed(signal());
    section.keep(below('kept'));
    section.keep(below('never there'));
    section.listed();
    await settledAs(rig.client, { kept: '1' });
    expect(section.stats.desired).toBe(1);
  });

  test('stays if the source sends a value that is too large for any etcd', async () => {
    const { rig, section } = await restarted({ kept: '1', stale: '1' });
    section.upsert(below('kept'), TOO_LARGE);
    section.listed();
    await settledAs(rig.client, { kept: '1' });
    expect(rig.recorded.rejections).toEqual(['value_too_large']);
  });

  test.each(['removes it', 'does not name it any more', 'withdraws everything'])('goes when the source %s', async (how) => {
    const { rig, section } = await restarted({ kept: '1', other: '1' });
    section.keep(below('kept'));
    section.upsert(below('other'), bytes('1'));
    await sync(section);
    if (how === 'removes it') {
      section.remove(below('kept'));
    } else if (how === 'withdraws everything') {
      section.clear();
    } else {
      section.interrupted('a new listing');
      section.upsert(below('other'), bytes('1'));
      section.listed();
    }
    await settledAs(rig.client, how === 'withdraws everything' ? {} : { other: '1' });
    expect(section.stats.desired).toBe(how === 'withdraws everything' ? 0 : 1);
  });

  test('takes the next good value, and one that etcd holds already without a write', async () => {
    const { rig, section } = await restarted({ a: '1', b: '1' });
    section.keep(below('a'));
    section.keep(below('b'));
    await sync(section);
    const since = await revisionOf(rig.client);
    section.upsert(below('b'), bytes('1'));
    await section.flushed(signal());
    expect(await revisionOf(rig.client)).toBe(since);
    section.upsert(below('a'), bytes('2'));
    await settledAs(rig.client, { a: '2', b: '1' });
  });

  test.each(['prefix', 'leased'] as const)('has its lease kept alive, with any duration (section owns: %s)', async (owns) => {
    const first = await loaded({ kept: '1' }, { leaseTtlSeconds: 5 });
    await first.rig.stop();
    const rig = start({ leaseTtlSeconds: 900 });
    const section = rig.section({ owns });
    await section.whenEtcdListed(signal());
    section.keep(below('kept'));
    section.listed();
    const { lease } = (await contents(rig.client)).get(below('kept')) ?? { lease: 0n as never };
    await renewed(rig, lease);
    section.remove(below('kept'));
    await settledAs(rig.client, {});
  });

  test("stays across a compaction of etcd's history, and is no foreign key for an audit, from any writer", async () => {
    const { rig, section } = await restarted({ kept: '1' }, { auditIntervalMs: 50 });
    section.keep(below('kept'));
    await sync(section);
    await rig.client.txn(
      [
        { type: 'put', key: below('kept'), value: bytes('2'), lease: 0n as never },
        { type: 'put', key: below('proof'), value: bytes('x'), lease: 0n as never },
      ],
      { signal: signal() },
    );
    await until('an audit went by', () => rig.recorded.repairs.get('foreign') === 1);
    await settledAs(rig.client, { kept: '2' });
  });

  test('is released if it is deleted externally', async () => {
    const { rig, section } = await restarted({ kept: '1' });
    section.keep(below('kept'));
    await sync(section);
    await rig.client.txn([{ type: 'delete', key: below('kept') }], { signal: signal() });
    await until('it is known to be gone', () => section.stats.desired === 0);
    section.upsert(below('kept'), bytes('2'));
    await settledAs(rig.client, { kept: '2' });
  });
});

describe('an etcd that takes smaller requests than others', () => {
  let small: EtcdProcess;
  beforeAll(async () => {
    small = await startEtcd({ args: ['--max-request-bytes=100000'] });
  });
  afterAll(() => small.stop());

  /** A publisher on that etcd, with an exclusive section. */
  const begin = (name: string) => {
    const prefix = `${PREFIX}${name}/` as typeof PREFIX;
    const rig = startRig({ endpoint: small.endpoint, auditIntervalMs: 50 });
    onTestFinished(() => rig.stop());
    return {
      rig,
      section: rig.section({ prefix, canary: `${CANARY}/${name}` as typeof CANARY }),
      at: (key: string) => `${prefix}${key}` as typeof PREFIX,
    };
  };
  const textOf = async (client: EtcdClient, key: typeof PREFIX) =>
    (await client.get(key, { signal: signal() }))?.value.toString();

  test('keeps the earlier value, over a restart too, and takes the next one that fits', async () => {
    const first = begin('restart');
    first.section.upsert(first.at('a'), bytes('1'));
    first.section.upsert(first.at('b'), bytes('1'));
    await sync(first.section);
    first.section.upsert(first.at('a'), LARGE);
    await first.section.flushed(signal());
    expect(await textOf(first.rig.client, first.at('a'))).toBe('1');
    await first.rig.stop();

    const { rig, section, at } = begin('restart');
    section.upsert(at('a'), LARGE);
    section.upsert(at('b'), bytes('2'));
    await sync(section);
    expect([await textOf(rig.client, at('a')), await textOf(rig.client, at('b'))]).toEqual(['1', '2']);
    expect(rig.recorded.rejections).toEqual(['value_too_large']);

    const since = await revisionOf(rig.client);
    section.upsert(at('a'), bytes('1'));
    await section.flushed(signal());
    expect(await revisionOf(rig.client), 'what etcd holds already is not written').toBe(since);
    section.upsert(at('a'), bytes('3'));
    await section.flushed(signal());
    expect(await textOf(rig.client, at('a'))).toBe('3');
  });

  test('has the lease of a rejected key kept alive, and the key removed when its source removes it', async () => {
    const old = startRig({ endpoint: small.endpoint, leaseTtlSeconds: 5 });
    const prefix = `${PREFIX}lease/` as typeof PREFIX;
    const key = `${prefix}a` as typeof PREFIX;
    const oldSection = old.section({ prefix, canary: `${CANARY}/lease` as typeof CANARY });
    oldSection.upsert(key, bytes('1'));
    await sync(oldSection);
    await old.stop();
    const { rig, section } = begin('lease');
    section.upsert(key, LARGE);
    await sync(section);
    await renewed(rig, (await rig.client.get(key, { signal: signal() }))?.lease ?? (0n as never));
    section.remove(key);
    await section.flushed(signal());
    expect(await textOf(rig.client, key)).toBeUndefined();
  });
});

/** Resolves when the remaining TTL of `lease` has grown: it is kept alive. */
async function renewed(rig: Rig, lease: never | bigint): Promise<void> {
  let lowest = Number.POSITIVE_INFINITY;
  await until('the lease is renewed', async () => {
    const left = (await rig.client.leaseTimeToLive(lease as never, { signal: signal() }))?.ttl ?? 0;
    lowest = Math.min(lowest, left);
    return left > lowest;
  });
}
