/** What changes between a question and its answer. */

import { describe, expect, test } from 'vitest';
import { RequestTooLargeError } from '../../src/shared/etcd/errors.ts';
import { type EtcdClient, type EtcdKey, keyOf, NO_LEASE, NO_REVISION, type TxnOperation } from '../../src/shared/etcd/types.ts';
import type { RejectReason, Section } from '../../src/shared/publisher/types.ts';
import { bytes } from '../support/etcd/etcd-client.ts';
import { until } from '../support/until.ts';
import { type Meddling, startMeddled } from './meddling.ts';
import { below, CANARY, PREFIX, publisherFixture, settledAs, signal, sync } from './publisher-fixture.ts';

const fixture = publisherFixture();
const LARGE = 'much too large';
const SECTION = { scope: 'nodes/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix', canary: CANARY } as const;

const isLarge = (operation: TxnOperation) => operation.type === 'put' && operation.value.toString() === LARGE;

/** etcd refuses one value, after `meanwhile` was called. */
const refusesLarge =
  (meanwhile: () => void): Meddling =>
  (real) => ({
    txn: async (operations, options) => {
      if (!operations.some(isLarge)) return real.txn(operations, options);
      meanwhile();
      await Promise.resolve();
      throw new RequestTooLargeError();
    },
  });

describe('a value that etcd refuses as too large', () => {
  const begin = async (meanwhile: (section: Section) => void) => {
    const rejections: RejectReason[] = [];
    let isChanged = false;
    const change = () => {
      if (!isChanged) meanwhile(section);
      isChanged = true;
    };
    const observer = {
      transaction() {},
      syncError() {},
      repair() {},
      synced() {},
      rejected: (reason: RejectReason) => rejections.push(reason),
    };
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, refusesLarge(change), { observer });
    const section: Section = publisher.section(SECTION);
    section.upsert(below('a'), bytes('first'));
    section.upsert(below('b'), bytes('first'));
    await sync(section);
    section.upsert(below('a'), bytes(LARGE));
    await section.flushed(signal());
    return { real, section, rejections };
  };

  test('writes the value that arrived during the write', async () => {
    const { real, rejections } = await begin((section) => section.upsert(below('a'), bytes('second')));
    await settledAs(real, { a: 'second', b: 'first' });
    expect(rejections).toEqual(['value_too_large']);
  });

  test('sends the removal that arrived during the write', async () => {
    const { real, section } = await begin((changing) => changing.remove(below('a')));
    await section.flushed(signal());
    await settledAs(real, { b: 'first' });
  });

  test('does not affect another key of its lane', async () => {
    const { real, section } = await begin((changing) => {
      changing.remove(below('a'));
      for (let i = 0; i < 8; i += 1) changing.upsert(below(`c${i}`), bytes('second'));
    });
    await section.flushed(signal());
    await settledAs(real, { b: 'first', ...Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`c${i}`, 'second'])) });
  });

  test('is no write when the value before it comes back: etcd holds that', async () => {
    const { real, section } = await begin(() => undefined);
    const before = (await real.get(below('a'), { signal: signal() }))?.modRevision;
    section.upsert(below('a'), bytes('first'));
    await section.flushed(signal());
    expect((await real.get(below('a'), { signal: signal() }))?.modRevision).toBe(before);
  });
});

describe('a key that is overwritten after it was read, and before anything else is known', () => {
  /** The response number `at` for `key` is followed by an external write, and arrives only when that was observed. */
  const overwritesAfterRead =
    (key: EtcdKey, at: number): Meddling =>
    (real) => {
      let answers = 0;
      return {
        get: async (asked, options) => {
          const answer = await real.get(asked, options);
          if (asked !== key) return answer;
          answers += 1;
          if (answers === at) await overwrite(real, key);
          return answer;
        },
      };
    };

  const keys = ['cilium/cluster-config/west', 'cilium/.heartbeat', 'cilium/.has-cluster-config'];
  const cases = keys.flatMap((key) => [1, 2].map((at) => [key, at] as const));

  test.each(cases)('is repaired: %s, after it was read %i times', async (text, at) => {
    const key = keyOf(text);
    const before = fixture.outside();
    await before.txn([{ type: 'put', key, value: bytes('right'), lease: NO_LEASE }], { signal: signal() });
    before.close();
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, overwritesAfterRead(key, at), { auditIntervalMs: 50 });
    await publisher.singles.put(key, bytes('right'), signal());
    await until('it has its value', async () => (await real.get(key, { signal: signal() }))?.value.toString() === 'right');
  });

  test.each(keys)('is repaired where all is compared again: %s', async (text) => {
    const key = keyOf(text);
    let isArmed = false;
    let isWatched = false;
    let compact: () => void = () => undefined;
    const compacted = new Promise<void>((resolve) => {
      compact = resolve;
    });
    const meddling: Meddling = (client) => ({
      get: async (asked, options) => {
        const answer = await client.get(asked, options);
        if (asked !== key || !isArmed) return answer;
        isArmed = false;
        await overwrite(client, key);
        return answer;
      },
      watch: async function* (prefix, options) {
        if (isWatched) {
          yield* client.watch(prefix, options);
          return;
        }
        isWatched = true;
        await compacted;
        yield { kind: 'compacted', compactRevision: NO_REVISION };
      },
    });
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 50 });
    await publisher.singles.put(key, bytes('right'), signal());
    isArmed = true;
    compact();
    await until('it was overwritten', () => !isArmed);
    await until('it has its value', async () => (await real.get(key, { signal: signal() }))?.value.toString() === 'right');
  });

  test('is repaired where it is a canary', async () => {
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, () => ({}), { auditIntervalMs: 50 });
    const section = publisher.section(SECTION);
    await sync(section);
    await overwrite(real, CANARY);
    await until('it has a time again', async () =>
      /^\d{4}-/.test((await real.get(CANARY, { signal: signal() }))?.value.toString() ?? ''),
    );
  });

  test('is repaired where it is one of hundreds of canaries, which an audit reads page by page', async () => {
    let gets = 0;
    const meddling = (etcd: EtcdClient) => ({
      get: (...parameters: Parameters<EtcdClient['get']>) => {
        gets += 1;
        return etcd.get(...parameters);
      },
    });
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 50 });
    const canaries = Array.from({ length: 200 }, (_, at) => keyOf(`cilium/synced/remote-${at}/cilium/state/nodes/v1`));
    await Promise.all(canaries.map((key) => publisher.singles.put(key, bytes('2026-01-02T03:04:05Z'), signal())));
    const before = gets;
    const overwritten = canaries[77] as EtcdKey;
    for (let round = 0; round < 3; round += 1) {
      await overwrite(real, overwritten);
      await until('it has its time again', async () =>
        /^\d{4}-/.test((await real.get(overwritten, { signal: signal() }))?.value.toString() ?? ''),
      );
    }
    expect(gets - before).toBeLessThan(canaries.length);
  });

  test('is repaired where it is one of a section, or is gone', async () => {
    const first = await fixture.loaded({ a: '1', b: '1' });
    await first.rig.stop();
    const meddling: Meddling = (client) => {
      let isDone = false;
      return {
        list: async function* (prefix, options) {
          for await (const page of client.list(prefix, options)) {
            if (prefix === PREFIX && !isDone) {
              isDone = true;
              await overwrite(client, below('a'));
              await client.txn([{ type: 'delete', key: below('b') }], { signal: signal() });
            }
            yield page;
          }
        },
      };
    };
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 50 });
    const section = publisher.section(SECTION);
    for (const name of ['a', 'b']) section.upsert(below(name), bytes('1'));
    await sync(section);
    await settledAs(real, { a: '1', b: '1' });
  });
});

describe('a key that others write while a write of ours is under way', () => {
  test('has our value in the end, when an audit sees it before the answer comes', async () => {
    let isDone = false;
    const meddling: Meddling = (client) => ({
      txn: async (operations, options) => {
        const revision = await client.txn(operations, options);
        if (isDone || !operations.some(({ key }) => key === below('a'))) return revision;
        isDone = true;
        await overwrite(client, below('a'));
        // Some audits run in between.
        await until('the audit has looked', () => audits > 3);
        return revision;
      },
      list: (prefix, options) => {
        if (isDone && options.keysOnly === true) audits += 1;
        return client.list(prefix, options);
      },
    });
    let audits = 0;
    const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 20 });
    const section = publisher.section(SECTION);
    section.upsert(below('a'), bytes('1'));
    await sync(section);
    await settledAs(real, { a: '1' });
  });
});

async function overwrite(client: EtcdClient, key: EtcdKey): Promise<void> {
  await client.txn([{ type: 'put', key, value: bytes('junk'), lease: NO_LEASE }], { signal: signal() });
}

test('a single key whose removal is asked for before etcd was read is removed', async () => {
  const key = keyOf('cilium/cluster-config/gone');
  const earlier = startMeddled(fixture.etcd.endpoint, () => ({}));
  await earlier.real.txn([{ type: 'put', key, value: bytes('{}'), lease: NO_LEASE }], { signal: signal() });
  const { real, publisher } = startMeddled(fixture.etcd.endpoint, () => ({}));
  await publisher.singles.remove(key, signal());
  expect(await real.get(key, { signal: signal() })).toBeUndefined();
});
