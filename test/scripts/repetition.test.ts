/** Which failures of a run are looked at a second time, and what then counts. */
import { expect, test } from 'vitest';
import { filesToRepeat, MAX_REPEATED_TESTS, unsteadyTests, withRepeated } from '../../scripts/testing/repetition.ts';
import type { FileReport, TestReport } from '../../scripts/testing/test-report.ts';

const file = (path: string, failing: readonly string[] = [], more: Partial<FileReport> = {}): FileReport => ({
  path,
  passed: 2,
  skipped: 1,
  skips: { 'needs zsh': 1 },
  failed: failing.map((name) => ({ name, errors: [`${name} is not as expected`] })),
  errors: 0,
  ...more,
});
const report = (...files: readonly FileReport[]): TestReport => ({ files, unhandledErrors: 0 });

test('the files of a few failed tests are run again', () => {
  expect(filesToRepeat(report(file('a', ['one', 'two']), file('b'), file('c', ['three'])))).toEqual(['a', 'c']);
  expect(filesToRepeat(report(file('a'), file('b')))).toEqual([]);
});

test('many failures stand', () => {
  const names = Array.from({ length: MAX_REPEATED_TESTS + 1 }, (_, index) => `test ${index}`);
  expect(filesToRepeat(report(file('a', names)))).toEqual([]);
  expect(filesToRepeat(report(file('a', names.slice(1))))).toEqual(['a']);
});

test('what chance has found stands', () => {
  const found = { name: 'any order', errors: ['Property failed after 3 tests\n{ seed: 12, path: "2:0" }'] };
  expect(filesToRepeat(report(file('a', [], { failed: [found] })))).toEqual([]);
  expect(filesToRepeat(report(file('a', ['as recorded, GOLDEN_SEED=4'])))).toEqual([]);
});

test('errors outside of tests stand', () => {
  expect(filesToRepeat(report(file('a', ['one']), file('b', [], { errors: 1 })))).toEqual([]);
  expect(filesToRepeat({ files: [file('a', ['one'])], unhandledErrors: 1 })).toEqual([]);
});

test('a file that was run again counts as it was then, and what passed only then is named', () => {
  const first = report(file('a', ['one', 'two']), file('b'));
  const second = report(file('a', ['two', 'three'], { passed: 5 }));
  expect(withRepeated(first, second)).toEqual(report(file('a', ['two', 'three'], { passed: 5 }), file('b')));
  expect(unsteadyTests(first, second)).toEqual(['a: one']);
});
