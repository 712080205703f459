/**
 * Which failures are looked at a second time.
 *
 * Tests share the machine with real servers and with each other, and a deadline that is far off on a quiet machine can pass on a
 * busy one. A few tests that failed are therefore run once more, alone; which then pass is told by name, for it is a mistake of
 * the test or of the program all the same. Nothing else is forgiven: errors outside of tests, many failures at once, and
 * whatever chance has found, which a second run would not find again.
 */
import type { FileReport, TestReport } from './test-report.ts';

/** With more of them the machine is not to blame. */
export const MAX_REPEATED_TESTS = 3;

/** The files to be run again; none where the failures stand. */
export function filesToRepeat({ files, unhandledErrors }: TestReport): readonly string[] {
  const failed = files.flatMap((file) => file.failed);
  const isClear = unhandledErrors === 0 && files.every(({ errors }) => errors === 0);
  const isByChance = failed.some(({ name, errors }) => [name, ...errors].some((text) => /seed/i.test(text)));
  if (!isClear || isByChance || failed.length > MAX_REPEATED_TESTS) return [];
  return files.filter((file) => file.failed.length > 0).map(({ path }) => path);
}

/** `first` with the results of `second` in place of those of the files that were run again. */
export function withRepeated(first: TestReport, second: TestReport): TestReport {
  const again = new Map(second.files.map((file) => [file.path, file]));
  return {
    files: first.files.map((file): FileReport => again.get(file.path) ?? file),
    unhandledErrors: first.unhandledErrors + second.unhandledErrors,
  };
}

/** The names of those that failed in `first` only. */
export function unsteadyTests(first: TestReport, second: TestReport): readonly string[] {
  const names = (report: TestReport) => report.files.flatMap(({ path, failed }) => failed.map(({ name }) => `${path}: ${name}`));
  const stillFailed = new Set(names(second));
  return names(first).filter((name) => !stillFailed.has(name));
}
