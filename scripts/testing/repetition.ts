/**
 * Which failed tests are run again.
 *
 * Tests share the machine with real servers and with each other, and a deadline that is generous on a quiet machine can pass on a
 * busy one. A few failed tests are therefore run once more, alone. Tests that then pass are listed by name, because they are bugs of
 * the test or of the program all the same. Other failures stand: errors outside of tests, many failures at once, and
 * failures of random tests, which a second run would not reproduce.
 */
import type { FileReport, TestReport } from './test-report.ts';

/** With more of them the machine is not to blame. */
export const MAX_REPEATED_TESTS = 3;

/** The files to run again; none if the failures stand. */
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
