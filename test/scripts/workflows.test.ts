/** The workflows of the repository, as their own linter reads them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** The program of the PATH, or that which scripts/build-test-tools.sh has built; undefined where there is neither. */
const linter = ['actionlint', join(ROOT, '.cache/tools/actionlint')].find(
  (path) => spawnSync(path, ['-version'], { stdio: 'ignore' }).status === 0,
);
const reason = linter === undefined ? ' (no actionlint: it is built where Go is)' : '';

test.skipIf(linter === undefined)(`actionlint finds no fault in the workflows${reason}`, () => {
  const { status, stdout, stderr } = spawnSync(linter ?? '', ['-no-color'], { cwd: ROOT, encoding: 'utf8' });
  expect({ status, output: stdout + stderr }).toEqual({ status: 0, output: '' });
});

test('the workflow for tests calls the one test command, and nothing else installs what it needs', () => {
  const commands = [...readFileSync(join(ROOT, '.github/workflows/test.yml'), 'utf8').matchAll(/^ *- run: (.*)$/gm)];
  expect(commands.map(([, command]) => command)).toEqual(['scripts/test']);
});
