/** The page about failures matches the program: each fault has a test, and quoted texts exist in the source. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const read = (pattern: string) => globSync(pattern, { cwd: ROOT }).map((path) => readFileSync(join(ROOT, path), 'utf8'));

const NUMBERS = Array.from({ length: 44 }, (_, index) => index + 1);

/** Rows by number. */
const rows = new Map<number, string>();
for (const line of readFileSync(join(ROOT, 'docs/reference/failure-modes.md'), 'utf8').split('\n')) {
  const number = /^\|\s*(\d+)[.:]? /.exec(line)?.[1];
  if (number !== undefined) rows.set(Number(number), line);
}

const titled = new Set(
  read('test/**/*.test.ts').flatMap((text) =>
    [...text.matchAll(/(?:['"`]|: )fault (\d+): /g)].map(([, number]) => Number(number)),
  ),
);

const source = read('src/**/*.ts').join('\n');

/** A quotation as it stands in the source: metrics without a prefix, flags without dashes. */
function inSource(quoted: string): string {
  return quoted.replace(/^cilium_(kvstoremesh|clustermesh_apiserver)_/, '').replace(/^--/, '');
}

test('every fault has a row, with four cells that are not empty', () => {
  const cells = (number: number) => (rows.get(number) ?? '').split('|').slice(1, -1);
  const filled = (number: number) => cells(number).filter((cell) => cell.trim() !== '').length;
  expect(NUMBERS.filter((number) => filled(number) !== 4)).toEqual([]);
});

test('every fault has a test whose title begins with its number', () => {
  expect(NUMBERS.filter((number) => !titled.has(number))).toEqual([]);
});

test('every fault of a title has a row, and no row is of something else', () => {
  expect([...titled].filter((number) => !rows.has(number))).toEqual([]);
  expect([...rows.keys()].filter((number) => !NUMBERS.includes(number))).toEqual([]);
});

test('what a row quotes stands in the source', () => {
  const quoted = [...rows.values()].flatMap((row) => [...row.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text));
  expect(quoted.length).toBeGreaterThan(rows.size);
  expect(quoted.filter((text) => !source.includes(inSource(text)))).toEqual([]);
});
