/** Directories of tests: all are below one of the run, which is removed after the last test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RUN_DIRECTORY = 'CLUSTERMESH_TEST_DIRECTORY';

/** Called by vitest before the first test; the result after the last one, whatever became of the processes of the tests. */
export default function setup(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'clustermesh-test-'));
  process.env[RUN_DIRECTORY] = directory;
  return () => rmSync(directory, { recursive: true, force: true });
}

/** A new empty directory whose name begins with `name`. */
export function temporaryDirectory(name: string): string {
  return mkdtempSync(join(process.env[RUN_DIRECTORY] ?? tmpdir(), `${name}-`));
}
