import { describe, expect, onTestFinished, test } from 'vitest';
import { NoSpaceError } from '../../src/shared/etcd/errors.ts';
import { keyOf, prefixEnd } from '../../src/shared/etcd/types.ts';
import { bytes, revisionOf } from '../support/etcd/etcd-client.ts';
import { makeRoom } from '../support/etcd/etcd-gateway.ts';
import { startEtcd } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import {
  below,
  CANARY,
  contents,
  PREFIX,
  publisherFixture,
  settledAs,
  signal,
  startRig,
  sync,
  texts,
} from './publisher-fixture.ts';

const fixture = publisherFixture();
const { start, loaded } = fixture;

describe('repair', () => {
  test('rule 56: restores a key, and a canary, that were deleted externally', async () => {
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

  test('rule 56: fault 10: an audit finds a key that was overwritten and one that is not desired', async () => {
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

  test('fault 27: leaves alone what another replica wrote with the same value', async () => {
    const { rig } = await loaded({ a: '1' }, { auditIntervalMs: 50 });
    const lease = (await contents(rig.client)).get(below('a'))?.lease ?? (0n as never);
    await rig.client.txn([{ type: 'put', key: below('a'), value: bytes('1'), lease }], { signal: signal() });
    const revision = (await contents(rig.client)).get(below('a'))?.modRevision;
    await rig.client.txn([{ type: 'put', key: below('proof'), value: bytes('x'), lease: 0n as never }], { signal: signal() });
    await until('an audit went by', () => rig.recorded.repairs.get('foreign') === 1);
    expect((await contents(rig.client)).get(below('a'))?.modRevision).toBe(revision);
  });

  test('rule 57: restores single keys at once, deleted or overwritten', async () => {
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
  test('fault 19: that comes back empty is filled again, the canary last', async () => {
    const { rig } = await loaded({ a: '1', b: '2' });
    await rig.publisher.singles.put(keyOf('cilium/cluster-config/west'), bytes('{}'), signal());
    await fixture.etcd.restart({ wipe: true });
    await settledAs(rig.client, { a: '1', b: '2' });
    const canary = await until('the canary is back', () => rig.client.get(CANARY, { signal: signal() }));
    await until('the config is back', () => rig.client.get(keyOf('cilium/cluster-config/west'), { signal: signal() }));
    const data = Math.max(...[...(await contents(rig.client)).values()].map(({ modRevision }) => modRevision));
    expect(canary.modRevision).toBeGreaterThan(data);
  });

  test('that is unreachable receives the latest changes when it returns', async () => {
    const { rig, section } = await loaded({ a: '1', b: '1' });
    await fixture.etcd.stop();
    section.upsert(below('a'), bytes('2'));
    section.upsert(below('a'), bytes('3'));
    section.remove(below('b'));
    section.upsert(below('c'), bytes('1'));
    await until('the publisher says that its writes fail', () => rig.publisher.stats.failing !== undefined, { withinMs: 45_000 });
    await fixture.etcd.restart();
    await settledAs(rig.client, { a: '3', c: '1' });
  });

  test('rule 60: fault 22: that is out of space is reported, gets no canary, and receives the latest state once there is room', async () => {
    const small = await startEtcd({ args: ['--quota-backend-bytes=4194304'] });
    onTestFinished(() => small.stop());
    const rig = startRig({ endpoint: small.endpoint });
    onTestFinished(() => rig.stop());
    const other = rig.section({
      scope: 'services/v1',
      prefix: keyOf('cilium/cache/services/v1/west/'),
      canary: keyOf('cilium/synced/other'),
    });
    other.upsert(keyOf('cilium/cache/services/v1/west/a'), bytes('1'));
    await sync(other);
    const section = rig.section();
    let keys = 0;
    const fill = () => {
      for (const end = keys + 20; keys < end; keys += 1) section.upsert(below(`k${keys}`), Buffer.alloc(64 * 1024, keys));
      return rig.publisher.stats.failing?.error instanceof NoSpaceError;
    };
    await until('the publisher names the reason', fill, { withinMs: 45_000 });

    // Deletions succeed even now, and do not mean that queued writes will.
    other.remove(keyOf('cilium/cache/services/v1/west/a'));
    await other.flushed(signal());
    expect(rig.publisher.stats.failing?.error).toBeInstanceOf(NoSpaceError);

    section.listed();
    for (let i = 0; i < keys; i += 1) section.remove(below(`k${i}`));
    section.upsert(below('small'), bytes('1'));
    expect(await rig.client.get(CANARY, { signal: signal() })).toBeUndefined();
    await rig.client.txn([{ type: 'delete', key: PREFIX, end: prefixEnd(PREFIX) }], { signal: signal() });
    await makeRoom(small.endpoint, await revisionOf(rig.client));
    await section.whenSynced(signal());
    await settledAs(rig.client, { small: '1' });
    expect(rig.publisher.stats.failing).toBeUndefined();
  });

  test('fault 24: that allows fewer operations than expected is found out once', async () => {
    const strict = await startEtcd({ args: ['--max-txn-ops=16'] });
    const rig = startRig({ endpoint: strict.endpoint });
    const section = rig.section();
    for (let i = 0; i < 500; i += 1) section.upsert(below(`k${i}`), bytes('v'));
    await sync(section);
    expect(Object.keys(await texts(rig.client))).toHaveLength(500);
    await rig.stop();
    await strict.stop();
  });
});
