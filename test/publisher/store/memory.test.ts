/** Memory that keys and values no longer need comes back. */

import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { keyOf, NO_LEASE, type Revision } from '../../../src/shared/etcd/types.ts';
import { FLAG_KEPT, KeyTable } from '../../../src/shared/publisher/store/key-table.ts';
import { type BlockHandle, SlabStore } from '../../../src/shared/publisher/store/slab.ts';
import { memoryPublisher } from '../../support/etcd/memory-etcd.ts';
import { until } from '../../support/until.ts';
import { below, PREFIX, signal, sync } from '../publisher-fixture.ts';
import { put } from './blocks.ts';

const KIB = 1024;

function compact(slabs: SlabStore, held: Map<number, { handle: BlockHandle; bytes: Uint8Array }>): void {
  slabs.beginCompaction();
  for (const block of held.values()) block.handle = slabs.relocate(block.handle, block.bytes.length);
  slabs.endCompaction();
}

test('a slab store gives back what was put, however blocks are freed, and moved while others come and go', () => {
  const bytesOf = fc.oneof(
    { weight: 10, arbitrary: fc.uint8Array({ maxLength: 200 }) },
    { weight: 5, arbitrary: fc.integer({ min: 4_000, max: 20_000 }).map((n) => new Uint8Array(n).fill(n)) },
    fc.integer({ min: 60_000, max: 70_000 }).map((n) => new Uint8Array(n).fill(n)),
  );
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), at: fc.nat(60), bytes: bytesOf }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('free' as const), at: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'begin' as const }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('relocate' as const), at: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'end' as const }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const slabs = new SlabStore();
      const held = new Map<number, { handle: BlockHandle; bytes: Uint8Array }>();
      const free = (at: number) => {
        const before = held.get(at);
        if (before !== undefined) slabs.free(before.handle);
        held.delete(at);
      };
      for (const next of steps) {
        if (next.kind === 'begin') slabs.beginCompaction();
        else if (next.kind === 'end') slabs.endCompaction();
        else if (next.kind === 'free') free(next.at);
        else if (next.kind === 'put') {
          free(next.at);
          held.set(next.at, { handle: put(slabs, next.bytes), bytes: next.bytes });
        } else {
          const block = held.get(next.at);
          if (block !== undefined) block.handle = slabs.relocate(block.handle, block.bytes.length);
        }
        for (const { handle, bytes } of held.values()) expect(slabs.view(handle, 0, bytes.length).equals(bytes)).toBe(true);
      }
      for (const at of [...held.keys()]) free(at);
      expect(slabs.residentBytes).toBe(0);
    }),
  );
});

test('slabs of values that are gone come back, also where one of each slab is left', () => {
  const slabs = new SlabStore();
  const held = new Map<number, { handle: BlockHandle; bytes: Uint8Array }>();
  for (let i = 0; i < 20_000; i += 1) {
    const bytes = Buffer.alloc(900, i);
    held.set(i, { handle: put(slabs, bytes), bytes });
  }
  const full = slabs.residentBytes;
  expect(full).toBeGreaterThan(20_000 * 900);
  for (const [i, { handle }] of [...held]) {
    if (i % 100 === 0) continue;
    slabs.free(handle);
    held.delete(i);
  }
  expect(slabs.isSparse).toBe(true);
  compact(slabs, held);
  expect(slabs.residentBytes).toBeLessThan(full / 20);
  for (const { handle, bytes } of held.values()) expect(slabs.view(handle, 0, bytes.length).equals(bytes)).toBe(true);
  for (const { handle } of held.values()) slabs.free(handle);
  expect(slabs.residentBytes).toBe(0);
});

test('values that are rewritten a class larger each time take no more than the last of them', () => {
  const slabs = new SlabStore();
  let handles: BlockHandle[] = [];
  const sizes = [60, 200, 500, 1000, 2000, 4000, 8000];
  for (const size of sizes) {
    const before = handles;
    handles = Array.from({ length: 2000 }, (_, i) => {
      if (before[i] !== undefined) slabs.free(before[i]);
      return put(slabs, Buffer.alloc(size));
    });
  }
  expect(slabs.residentBytes).toBeLessThan(2000 * 8000 * 1.2 + 1024 * KIB);
});

test('a table that shrinks keeps every key with all that is known of it', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(600), { minLength: 1, maxLength: 60 }),
      fc.array(fc.nat(700), { maxLength: 80 }),
      (left, later) => {
        const table = new KeyTable(new SlabStore());
        const remains = new Set(left);
        for (let i = 0; i <= 600; i += 1) {
          const slot = table.ensure(keyOf(`k${i}`));
          if (i % 3 === 0) table.keep(slot);
          else table.desire(slot, Buffer.from(`v${i}`));
          table.observe(slot, Buffer.from(`v${i}`), (i + 1) as Revision, i);
        }
        const drop = (i: number) => {
          const slot = table.slotOf(keyOf(`k${i}`));
          if (slot === undefined) return;
          table.undesire(slot);
          table.unkeep(slot);
          table.revision[slot] = 0;
          table.releaseIfEmpty(slot);
        };
        for (let i = 0; i <= 600; i += 1) if (!remains.has(i)) drop(i);
        while (table.isSparse) {
          const end = table.end;
          for (const _ of table.shrink())
            for (const i of later) if (table.slotOf(keyOf(`n${i}`)) === undefined) table.ensure(keyOf(`n${i}`));
          if (table.end === end) break;
        }
        for (const i of remains) {
          const slot = table.slotOf(keyOf(`k${i}`)) ?? -1;
          expect([table.key(slot), table.revision[slot], table.lease[slot]]).toEqual([`k${i}`, i + 1, i]);
          expect(table.has(slot, FLAG_KEPT)).toBe(i % 3 === 0);
          if (i % 3 !== 0) expect(table.value(slot).toString()).toBe(`v${i}`);
          expect(table.holds(slot, Buffer.from(`v${i}`))).toBe(true);
        }
        expect(table.desiredCount + table.keptCount).toBe(remains.size);
      },
    ),
  );
});

test('a publisher gives memory back once most of a section is gone, and what is left is as it was', async () => {
  const { publisher, etcd, stop } = memoryPublisher();
  onTestFinished(stop);
  const resident = () => publisher.stats.reservedBytes;
  const section = publisher.section({ scope: 'nodes/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix' });
  const valueOfKey = (i: number) => Buffer.alloc(900, i);
  for (let i = 0; i < 20_000; i += 1) section.upsert(below(`k${i}`), valueOfKey(i));
  await sync(section);
  const full = resident();
  for (let i = 0; i < 20_000; i += 1) if (i % 100 !== 0) section.remove(below(`k${i}`));
  await section.flushed(signal());
  await until('memory is given back', () => resident() < full / 10);
  // The store loses everything: what is written again comes from what was moved.
  etcd.deleteAll(PREFIX);
  await until('all is there again', () => etcd.count(PREFIX) === 200);
  for (let i = 0; i < 20_000; i += 100) expect(etcd.valueOf(below(`k${i}`))?.equals(valueOfKey(i))).toBe(true);
  expect(etcd.leaseOf(below('k0'))).not.toBe(NO_LEASE);
});
