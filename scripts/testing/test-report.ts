/**
 * The result of a test run, by file: written by a Vitest reporter, read by the test command.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';
import { addSkips, type Skips, skipReason } from './skips.ts';

const ROOT = join(import.meta.dirname, '../..');
const PATH = join(ROOT, '.cache/test-report.json');

export interface FailedTest {
  readonly name: string;
  readonly errors: readonly string[];
}

export interface FileReport {
  /** Relative to the root of the project. */
  readonly path: string;
  readonly passed: number;
  readonly skipped: number;
  /** Those that were skipped, by reason. */
  readonly skips: Skips;
  readonly failed: readonly FailedTest[];
  /** Outside of every test: it could not be loaded, or a suite failed. */
  readonly errors: number;
}

export interface TestReport {
  readonly files: readonly FileReport[];
  /** Uncaught errors that belong to no test. */
  readonly unhandledErrors: number;
}

/** The report of the last run, which is removed; undefined where it has left none. */
export function takeReport(): TestReport | undefined {
  if (!existsSync(PATH)) return undefined;
  const report = JSON.parse(readFileSync(PATH, 'utf8')) as TestReport;
  rmSync(PATH);
  return report;
}

/** For `--reporter`. */
export default class TestReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const report: TestReport = { files: modules.map(fileReport), unhandledErrors: unhandledErrors.length };
    mkdirSync(dirname(PATH), { recursive: true });
    writeFileSync(PATH, JSON.stringify(report));
  }
}

function fileReport(module: TestModule): FileReport {
  const tests = [...module.children.allTests()];
  const suites = [...module.children.allSuites()];
  const count = (state: string) => tests.filter((test) => test.result().state === state).length;
  const failed = tests.flatMap((test) => {
    const { state, errors = [] } = test.result();
    return state === 'failed' ? [{ name: test.fullName, errors: errors.map(({ message }) => message) }] : [];
  });
  const errors = module.errors().length + suites.reduce((sum, suite) => sum + suite.errors().length, 0);
  const path = relative(ROOT, module.moduleId);
  return { path, passed: count('passed'), skipped: count('skipped'), skips: skipsOf(tests), failed, errors };
}

function skipsOf(tests: readonly TestCase[]): Skips {
  return tests.reduce<Skips>((skips, test) => {
    const result = test.result();
    return result.state === 'skipped' ? addSkips(skips, { [skipReason(test.fullName, result.note)]: 1 }) : skips;
  }, {});
}
