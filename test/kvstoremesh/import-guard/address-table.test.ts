import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressTable } from '../../../src/kvstoremesh/import-guard/address-table.ts';
import type { AddressKey } from '../../../src/kvstoremesh/import-guard/addresses.ts';

/** Few enough to meet again: the first and the last IPv4 addresses, as their 32 bits have a sign, and others. */
const address: fc.Arbitrary<AddressKey> = fc.oneof(
  fc.nat(200),
  fc.nat(200).map((low) => -1 - low),
  fc.nat(20).map((each) => `fd00::${each}`),
);

test('it holds what a Map holds, for any changes', () => {
  const change = fc.record({ address, value: fc.option(fc.integer({ min: -1, max: 2 ** 30 - 1 })) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 1_500 }), fc.nat(7), (changes, remainder) => {
      const table = new AddressTable();
      const model = new Map<AddressKey, number>();
      for (const { address: key, value } of changes) {
        if (value === null) {
          table.delete(key);
          model.delete(key);
        } else {
          table.set(key, value);
          model.set(key, value);
        }
        expect(table.get(key)).toBe(model.get(key));
        expect(table.size).toBe(model.size);
      }
      const isOver = (value: number) => Math.abs(value) % 8 === remainder;
      const asked: AddressKey[] = [];
      table.deleteWhere((key, value) => {
        asked.push(key);
        // The value may change without the address being deleted.
        if (!isOver(value)) table.set(key, value);
        return isOver(value);
      });
      expect(new Set(asked)).toEqual(new Set(model.keys()));
      expect(asked).toHaveLength(model.size);
      for (const [key, value] of model) expect(table.get(key)).toBe(isOver(value) ? undefined : value);
    }),
    { numRuns: 50 },
  );
});
