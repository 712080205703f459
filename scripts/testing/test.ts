/**
 * The test command, after scripts/setup.sh: checks, build, tests, fuzzing, and one run of the demonstration.
 *
 * With arguments, only the tests of these directories of test/. The last line sums up over all parts,
 * a check counting as one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS } from '../checks/check.ts';
import { conclude, ROOT, runStep, runSteps, type Step, type Tally } from '../steps.ts';
import { filesToRepeat, unsteadyTests, withRepeated } from './repetition.ts';
import { addSkips, refusedSkips, type Skips, skipLines } from './skips.ts';
import { type TestReport, takeReport } from './test-report.ts';

const BUILD: Step = ['build', 'node', 'scripts/build.ts'];
/** For five minutes, after the tests: no timed test runs at the same time. */
const FUZZ: Step = ['fuzzing', 'node', 'test/fuzz/main.ts'];
const DEMO: Step = ['demonstration', 'node', 'demo/main.ts', '--once'];

/** The tests of the directories, of all where none is named. */
function runTests(directories: readonly string[], tally: Tally): void {
  const paths = directories.map((directory) => (existsSync(join(ROOT, 'test', directory)) ? join('test', directory) : directory));
  const first = vitest('tests', paths);
  const again = first === undefined ? [] : filesToRepeat(first);
  const second = again.length === 0 ? undefined : vitest('tests that failed, once more and alone', ['--maxWorkers=1', ...again]);
  if (first === undefined || (again.length > 0 && second === undefined)) {
    tally.failed += 1;
    return;
  }
  add(second === undefined ? first : withRepeated(first, second), tally);
  if (second !== undefined) for (const name of unsteadyTests(first, second)) process.stdout.write(`\nunsteady: ${name}\n`);
}

/** The report of the run; undefined if it does not explain a failure. */
function vitest(name: string, args: readonly string[]): TestReport | undefined {
  takeReport();
  const hasPassed = runStep([
    name,
    'vitest',
    'run',
    '--reporter=default',
    '--reporter=./scripts/testing/test-report.ts',
    ...args,
  ]);
  const report = takeReport();
  // A failure that is missing in the report.
  return report !== undefined && !hasPassed && failuresIn(report) === 0 ? undefined : report;
}

function failuresIn({ files, unhandledErrors }: TestReport): number {
  return files.reduce((sum, { failed, errors }) => sum + failed.length + errors, unhandledErrors);
}

function add(report: TestReport, tally: Tally): void {
  for (const { passed, skipped, skips: reasons } of report.files) {
    tally.passed += passed;
    tally.skipped += skipped;
    skips = addSkips(skips, reasons);
  }
  tally.failed += failuresIn(report);
}

/** The reasons, right before the last line; in CI one that is not allowed is a failure. */
function tellSkips(tally: Tally): void {
  process.stdout.write(`\n${skipLines(skips).join('\n')}\n`);
  if (process.env.CI !== 'true') return;
  for (const reason of refusedSkips(skips)) {
    process.stdout.write(`not a reason to skip a test in CI: ${reason}\n`);
    tally.failed += 1;
  }
}

const directories = process.argv.slice(2);
let skips: Skips = {};
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
if (directories.length > 0) {
  runTests(directories, tally);
} else {
  runSteps([...CHECKS, BUILD], tally);
  runTests([], tally);
  runSteps([FUZZ, DEMO], tally);
}
tellSkips(tally);
process.exitCode = conclude(tally);
