/** Every rule of README.md has a test with its number in the title, and every number in a title is an existing rule. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scenarioNames } from '../golden/kvstoremesh/recording/scenario.ts';
import { scenarioRules } from '../golden/kvstoremesh/recording/scenario-rules.ts';

const TESTS = join(import.meta.dirname, '..');
const COUNT = 73;

/** `rule 7: …` or `rules 7, 8: …` at the beginning of a text in the source of a test. */
const TITLE = /['"`]rules? (\d+(?:, \d+)*): \S/g;
/** What was meant to be one. */
const ATTEMPT = /['"`]rules? \d[^'"`]*/gi;

interface Proof {
  readonly rule: number;
  readonly file: string;
}

const sources = globSync('**/*.test.ts', { cwd: TESTS })
  .filter((file) => file !== join('protocol', 'rules.test.ts'))
  .map((file) => ({ file, text: readFileSync(join(TESTS, file), 'utf8').replace(/^\s*\/\/.*$/gm, '') }));

const numbers = (list: string | undefined) => (list ?? '').split(', ').map(Number);

const proofs: readonly Proof[] = sources.flatMap(({ file, text }) =>
  [...text.matchAll(TITLE)].flatMap(([, list]) => numbers(list).map((rule) => ({ rule, file }))),
);

/** Number and wording of each row of the tables. */
const rows = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8')
  .split('\n')
  .flatMap((line) => {
    const row = /^\| (\d+) \| (\S.*\S) \| (?:\S.*\S )?\|$/.exec(line);
    return row === null ? [] : [{ rule: Number(row[1]), wording: row[2] ?? '' }];
  });

const all = Array.from({ length: COUNT }, (_, index) => index + 1);

describe('the rules of the mirror', () => {
  test('are 73, in order, each with its row', () => {
    expect(rows.map(({ rule }) => rule)).toEqual(all);
    expect(new Set(rows.map(({ wording }) => wording)).size).toBe(COUNT);
  });

  test('are proven, each by a test with its number', () => {
    expect(all.filter((rule) => proofs.every((proof) => proof.rule !== rule))).toEqual([]);
  });

  test('are the only ones that tests name, and all name them in one form', () => {
    expect(proofs.filter(({ rule }) => !all.includes(rule))).toEqual([]);
    const attempts = sources.flatMap(({ file, text }) => [...text.matchAll(ATTEMPT)].map(([title]) => `${file}: ${title}`));
    expect(attempts.filter((attempt) => !/: .rules? \d+(?:, \d+)*: \S/.test(attempt))).toEqual([]);
    const inSkipped = sources.filter(({ text }) => /\.(?:skip|todo|only)\(\s*['"`]rules? \d/.test(text));
    expect(inSkipped.map(({ file }) => file)).toEqual([]);
  });

  test('are recorded by scenarios that there are', () => {
    const names = scenarioNames();
    expect(Object.keys(scenarioRules).filter((name) => !names.includes(name))).toEqual([]);
    expect(
      Object.values(scenarioRules)
        .flat()
        .filter((rule) => !all.includes(rule)),
    ).toEqual([]);
  });
});
