import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EtcdKey, keyOf, NO_REVISION, type Revision } from '../../../src/shared/etcd/types.ts';
import { digest } from '../../../src/shared/publisher/store/digest.ts';
import { ABSENT, KeyTable } from '../../../src/shared/publisher/store/key-table.ts';
import { type BlockHandle, SlabStore } from '../../../src/shared/publisher/store/slab.ts';
import { put } from './blocks.ts';

const value = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 600 }) },
  fc.integer({ min: 60_000, max: 70_000 }).map((n) => new Uint8Array(n).fill(7)),
);

test('a slab store gives back what was put, however blocks are freed and used again', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ slot: fc.nat(8), value: fc.option(value) }), { maxLength: 200 }), (steps) => {
      const slabs = new SlabStore();
      const held = new Map<number, { handle: BlockHandle; bytes: Uint8Array }>();
      for (const { slot, value: bytes } of steps) {
        const before = held.get(slot);
        if (before !== undefined) slabs.free(before.handle);
        held.delete(slot);
        if (bytes !== null) held.set(slot, { handle: put(slabs, bytes), bytes });
        for (const { handle, bytes: expected } of held.values())
          expect(slabs.view(handle, 0, expected.length).equals(expected)).toBe(true);
      }
    }),
  );
});

test('a key table agrees with a plain map of desired and observed values', () => {
  const step = fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd'),
    kind: fc.constantFrom('desire', 'undesire', 'observe', 'vanish'),
    value,
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const table = new KeyTable(new SlabStore());
      const desired = new Map<string, Uint8Array>();
      const observed = new Map<string, Uint8Array>();
      for (const { key: name, kind, value: bytes } of steps) {
        const key = keyOf(name);
        const slot = table.ensure(key);
        if (kind === 'desire') {
          expect(table.desire(slot, bytes)).toBe(
            !Buffer.from(desired.get(name) ?? [0, 1, 2, 3, 4, 5]).equals(bytes) || !desired.has(name),
          );
          desired.set(name, bytes);
        } else if (kind === 'undesire') {
          table.undesire(slot);
          desired.delete(name);
        } else if (kind === 'observe') {
          table.observe(slot, bytes, 7 as Revision, 0);
          observed.set(name, bytes);
        } else {
          table.revision[slot] = ABSENT;
          observed.delete(name);
        }
        table.releaseIfEmpty(slot);
        expect(table.desiredCount).toBe(desired.size);
        for (const [wanted, wantedBytes] of desired) {
          const wantedSlot = table.slotOf(wanted as EtcdKey) ?? -1;
          expect(table.value(wantedSlot).equals(wantedBytes)).toBe(true);
          expect(table.holdsDesired(wantedSlot)).toBe(
            Buffer.from(observed.get(wanted) ?? []).equals(wantedBytes) && observed.has(wanted),
          );
        }
      }
    }),
  );
  expect(NO_REVISION).toBe(ABSENT);
});

test('digests differ wherever one bit, or the length, differs', () => {
  const both = (bytes: Uint8Array) => {
    const { low, high } = digest(bytes, { low: 0, high: 0 });
    return `${low}/${high}`;
  };
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), (bytes, at) => {
      const flipped = Uint8Array.from(bytes);
      const index = at % bytes.length;
      flipped[index] = (flipped[index] ?? 0) ^ (1 << (at % 8));
      expect(both(flipped)).not.toBe(both(bytes));
      expect(both(new Uint8Array([...bytes, 0]))).not.toBe(both(bytes));
      expect(both(Uint8Array.from(bytes))).toBe(both(bytes));
    }),
  );
});

test('digests of many similar values do not collide, in either half of them together', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 100_000; i += 1) {
    const { low, high } = digest(Buffer.from(`{"IP":"10.0.${i >> 8}.${i & 255}","ID":${i}}`), { low: 0, high: 0 });
    seen.add(`${low}/${high}`);
  }
  expect(seen.size).toBe(100_000);
});
