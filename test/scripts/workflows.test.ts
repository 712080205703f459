/** The workflows of the repository, as their own linter reads them. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

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

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'timeout-minutes': number;
  readonly steps: readonly { readonly uses?: string; readonly with?: Readonly<Record<string, unknown>> }[];
}

test('a job of the release has the rights that it needs, a deadline, and what the Dockerfile takes', () => {
  const text = readFileSync(join(ROOT, '.github/workflows/release.yml'), 'utf8');
  const { permissions, jobs } = parse(text) as { permissions: unknown; jobs: Readonly<Record<string, Job>> };
  expect(permissions).toEqual({ contents: 'read' });
  const rights = Object.entries(jobs).map(([name, job]) => [name, job.permissions ?? {}]);
  expect(Object.fromEntries(rights)).toEqual({
    version: {},
    image: { contents: 'read', packages: 'write', 'id-token': 'write' },
    chart: { contents: 'read', packages: 'write', 'id-token': 'write' },
    release: { contents: 'write' },
  });
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  expect(Object.values(jobs).every((job) => job['timeout-minutes'] > 0)).toBe(true);
  for (const step of steps.filter(({ uses }) => uses?.startsWith('actions/checkout@')))
    expect(step.with).toMatchObject({ 'persist-credentials': false });
  const build = steps.find(({ uses }) => uses?.startsWith('docker/build-push-action@'))?.with ?? {};
  const dockerfile = readFileSync(join(ROOT, String(build.file)), 'utf8');
  for (const [, name = ''] of String(build['build-args']).matchAll(/^(\w+)=/gm))
    expect(dockerfile).toMatch(new RegExp(`^ARG ${name}\\b`, 'm'));
});
