/**
 * The test command, after scripts/setup.sh: checks, build, tests, and one run of the demonstration.
 *
 * With arguments, only the tests of these directories of test/. The last line sums up over all parts,
 * a check counting as one.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKS } from './check.ts';
import { conclude, ROOT, runStep, runSteps, type Step, type Tally } from './steps.ts';

const REPORT = join(ROOT, '.cache/test-report.json');

const BUILD: Step = ['build', 'node', 'scripts/build.ts'];
const DEMO: Step = ['demonstration', 'node', 'demo/main.ts', '--once'];

/** The tests of the directories, of all where none is named. */
function runTests(directories: readonly string[], tally: Tally): void {
  rmSync(REPORT, { force: true });
  const paths = directories.map((directory) => (existsSync(join(ROOT, 'test', directory)) ? join('test', directory) : directory));
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${REPORT}`];
  const passed = runStep(['tests', 'vitest', 'run', ...reporters, ...paths]);
  const failedBefore = tally.failed;
  if (existsSync(REPORT)) {
    const report = JSON.parse(readFileSync(REPORT, 'utf8')) as Record<string, number>;
    tally.passed += report.numPassedTests ?? 0;
    tally.failed += report.numFailedTests ?? 0;
    tally.skipped += (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
  }
  // A file that could not be loaded, an error outside of every test: failures without a failed test.
  if (!passed && tally.failed === failedBefore) tally.failed += 1;
}

const directories = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
if (directories.length > 0) {
  runTests(directories, tally);
} else {
  runSteps([...CHECKS, BUILD], tally);
  runTests([], tally);
  runSteps([DEMO], tally);
}
process.exitCode = conclude(tally);
