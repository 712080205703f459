/** Keys lie beside their values: both stay what they are, however values grow, shrink and move. */

import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { type EtcdKey, keyOf, NO_LEASE } from '../../../src/shared/etcd/types.ts';
import { ABSENT, FLAG_PENDING, KeyTable } from '../../../src/shared/publisher/store/key-table.ts';
import { SlabStore } from '../../../src/shared/publisher/store/slab.ts';
import { memoryPublisher } from '../../support/etcd/memory-etcd.ts';
import { until } from '../../support/until.ts';
import { below, PREFIX, signal, sync } from '../publisher-fixture.ts';

const PREFIXES = ['', 'cilium/cache/ip/v1/west/'];

/** Short and long keys, keys that differ in one byte only, and all bytes that a key may have. */
const suffix = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 0, max: 20 }).map((n) => `10.0.0.${n}`),
  fc.integer({ min: 0, max: 3 }).map((n) => `${'x'.repeat(8_000)}${n}`),
  fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 6 }).map((bytes) => String.fromCharCode(...bytes)),
);

const size = fc.oneof({ weight: 10, arbitrary: fc.integer({ min: 0, max: 300 }) }, fc.integer({ min: 50_000, max: 70_000 }));

test.each(PREFIXES)('a table of keys below "%s" agrees with a Map, for any changes of values and compactions', (prefix) => {
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.record({ kind: fc.constant('desire' as const), suffix, size, byte: fc.nat(255) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('ensure' as const), suffix }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('undesire' as const), suffix }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('release' as const), suffix }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'compact' as const }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const slabs = new SlabStore();
      const table = new KeyTable(slabs, prefix);
      const model = new Map<EtcdKey, Buffer | undefined>();
      for (const next of steps) {
        if (next.kind === 'compact') {
          slabs.beginCompaction();
          for (const slot of table.slots()) table.relocate(slot);
          slabs.endCompaction();
          continue;
        }
        const key = (prefix + next.suffix) as EtcdKey;
        if (next.kind === 'desire') {
          const value = Buffer.alloc(next.size, next.byte);
          table.desire(table.ensure(key, value.length), value);
          model.set(key, value);
        } else if (next.kind === 'ensure') {
          table.ensure(key);
          if (!model.has(key)) model.set(key, undefined);
        } else {
          const slot = table.slotOf(key);
          expect(slot === undefined).toBe(!model.has(key));
          if (slot === undefined) continue;
          table.undesire(slot);
          model.set(key, undefined);
          if (next.kind === 'undesire') continue;
          table.releaseIfEmpty(slot);
          model.delete(key);
        }
      }
      expect([...table.slots()].map((slot) => table.key(slot)).toSorted()).toEqual([...model.keys()].toSorted());
      let bytes = 0;
      for (const [key, value] of model) {
        const slot = table.slotOf(key) ?? -1;
        expect([table.key(slot) === key, table.keyBytes(slot)]).toEqual([true, key.length]);
        expect(table.isDesired(slot) ? table.value(slot).equals(value ?? Buffer.from('none')) : value === undefined).toBe(true);
        expect(table.valueBytes(slot)).toBe(value?.length ?? 0);
        if (value !== undefined) bytes += key.length + value.length;
      }
      expect(table.desiredBytes).toBe(bytes);
      for (const slot of table.slots()) table.drop(slot);
      expect([slabs.residentBytes, table.desiredCount, table.desiredBytes]).toEqual([0, 0, 0]);
    }),
  );
});

test('a key with the same end, and another start, is not found', () => {
  const table = new KeyTable(new SlabStore(), 'cilium/cache/ip/v1/west/');
  table.ensure(keyOf('cilium/cache/ip/v1/west/10.0.0.1'));
  expect(table.slotOf(keyOf('cilium/cache/ip/v1/east/10.0.0.1'))).toBeUndefined();
  expect(table.slotOf(keyOf('10.0.0.1'))).toBeUndefined();
});

test('a value that is replaced by one of its size class stays in its block', () => {
  const slabs = new SlabStore();
  const table = new KeyTable(slabs);
  const slot = table.ensure(keyOf('k'), 500);
  table.desire(slot, Buffer.alloc(500, 1));
  const resident = slabs.residentBytes;
  for (let byte = 2; byte < 100; byte += 1) table.desire(slot, Buffer.alloc(500, byte));
  expect(slabs.residentBytes).toBe(resident);
  expect(table.value(slot).equals(Buffer.alloc(500, 99))).toBe(true);
});

test('a table that is dropped while a key waits or is written gives all memory back', () => {
  const slabs = new SlabStore();
  const table = new KeyTable(slabs, 'a/');
  for (const name of ['a/1', 'a/2']) {
    const slot = table.ensure(keyOf(name));
    table.desire(slot, Buffer.alloc(70_000));
    table.set(slot, FLAG_PENDING);
    table.revision[slot] = ABSENT + 5;
  }
  for (const slot of table.slots()) table.drop(slot);
  expect(slabs.residentBytes).toBe(0);
  expect(table.slotOf(keyOf('a/1'))).toBeUndefined();
});

test('the keys of a section that is released take no memory, also those that etcd never answered for', async () => {
  const { publisher, etcd, stop } = memoryPublisher();
  onTestFinished(stop);
  const before = publisher.stats.reservedBytes;
  const section = publisher.section({ scope: 'ip/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix' });
  for (let i = 0; i < 5_000; i += 1) section.upsert(below(`k${i}`), Buffer.alloc(200, i));
  await sync(section);
  await section.flushed(signal());
  const count = etcd.count(PREFIX);
  for (let i = 0; i < 3_000; i += 1) section.upsert(below(`later${i}`), Buffer.alloc(400, i));
  section.release();
  await until('memory is given back', () => publisher.stats.reservedBytes <= before);
  expect(etcd.count(PREFIX)).toBeGreaterThanOrEqual(count);
});

test('a key that is the prefix of its section is foreign, and removed', async () => {
  const { publisher, etcd, stop } = memoryPublisher();
  onTestFinished(stop);
  await etcd.client().txn([{ type: 'put', key: PREFIX, value: Buffer.from('x'), lease: NO_LEASE }], { signal: signal() });
  const section = publisher.section({ scope: 'ip/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix' });
  section.upsert(below('k'), Buffer.from('v'));
  await sync(section);
  await until('it is gone', () => etcd.count(PREFIX) === 1);
  expect(etcd.valueOf(below('k'))?.toString()).toBe('v');
});
