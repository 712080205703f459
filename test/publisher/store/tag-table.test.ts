import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TagTable } from '../../../src/shared/tag-table.ts';

/** Entries as their owner has them: each key with its tag, and each value with its key. */
class Owned {
  readonly keys = new Map<number, string>();
  readonly table = new TagTable<string>((value, key) => this.keys.get(value) === key);
  readonly #tagOf: (key: string) => number;
  #next = 0;

  constructor(tagOf: (key: string) => number) {
    this.#tagOf = tagOf;
  }

  get(key: string): number | undefined {
    return this.table.get(this.#tagOf(key), key);
  }

  set(key: string): number {
    this.#next += 1;
    this.keys.set(this.#next, key);
    const before = this.get(key);
    this.table.set(this.#tagOf(key), key, this.#next);
    if (before !== undefined) this.keys.delete(before);
    return this.#next;
  }

  delete(key: string): void {
    const value = this.get(key);
    this.table.delete(this.#tagOf(key), key);
    if (value !== undefined) this.keys.delete(value);
  }
}

/** From tags that are spread over everything to tags that all meet in one place. */
const TAGS: readonly (readonly [string, (number: number) => number])[] = [
  ['spread evenly', (number) => Math.imul(number, 0x9e3779b1) >>> 0],
  ['of one part of the table', (number) => number],
  ['at the end of each part', (number) => (number << 26) | 0x3ffffff],
  ['shared by several entries', (number) => number >>> 4],
  ['that are all the same', () => 0xffffffff],
];

describe.each(TAGS)('with tags %s', (_, tagOfNumber) => {
  const tagOf = (key: string) => tagOfNumber(Number(key)) >>> 0;

  test('it holds what a Map holds, for any changes', () => {
    const change = fc.record({ number: fc.nat(150), isDeletion: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 800 }), (changes) => {
        const owned = new Owned(tagOf);
        const model = new Map<string, number>();
        for (const { number, isDeletion } of changes) {
          const key = String(number);
          if (isDeletion) {
            owned.delete(key);
            model.delete(key);
          } else {
            model.set(key, owned.set(key));
          }
          expect(owned.get(key)).toBe(model.get(key));
          expect(owned.table.size).toBe(model.size);
        }
        for (let number = 0; number <= 150; number += 1) expect(owned.get(String(number))).toBe(model.get(String(number)));
      }),
      { numRuns: 30 },
    );
  });

  test('a deletion of some asks about each entry once, also where entries are set meanwhile', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(150)), fc.nat(3), (numbers, remainder) => {
        const owned = new Owned(tagOf);
        const model = new Map(numbers.map((number) => [owned.set(String(number)), String(number)]));
        const asked: number[] = [];
        owned.table.deleteWhere((tag, value) => {
          asked.push(value);
          const key = model.get(value) ?? '';
          expect(tag).toBe(tagOf(key));
          owned.table.set(tag, key, value);
          return value % 4 === remainder;
        });
        expect(asked.toSorted((a, b) => a - b)).toEqual([...model.keys()]);
        for (const [value, key] of model) expect(owned.get(key)).toBe(value % 4 === remainder ? undefined : value);
      }),
      { numRuns: 100 },
    );
  });
});

test('a hundred thousand entries are found, and half of them after the others were removed', () => {
  const owned = new Owned((key) => Math.imul(Number(key), 0x9e3779b1) >>> 0);
  const values = Array.from({ length: 100_000 }, (_, number) => owned.set(String(number)));
  for (let number = 0; number < values.length; number += 2) owned.delete(String(number));
  const wrong = values.filter((value, number) => owned.get(String(number)) !== (number % 2 === 0 ? undefined : value));
  expect(wrong).toEqual([]);
  expect(owned.table.size).toBe(50_000);
});

test('a table that is split as it grows, and joined as it shrinks, finds what it holds at each size', () => {
  const owned = new Owned((key) => Math.imul(Number(key), 0x9e3779b1) >>> 0);
  const sizes = [3_071, 3_073, 4_000, 513, 511, 500, 14_000, 1, 0, 20];
  let size = 0;
  for (const next of sizes) {
    const values = new Map<string, number>();
    for (; size < next; size += 1) values.set(String(size), owned.set(String(size)));
    for (; size > next; size -= 1) owned.delete(String(size - 1));
    expect(owned.table.size).toBe(next);
    for (const [key, value] of values) expect(owned.get(key)).toBe(value);
    for (let number = 0; number < 14_000; number += 1) {
      if ((owned.get(String(number)) === undefined) === number < next) expect.unreachable(`${number} of ${next}`);
    }
  }
});
