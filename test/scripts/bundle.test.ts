import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Outcome, runChild } from '../support/processes/child.ts';

const build = fileURLToPath(new URL('../../scripts/build.ts', import.meta.url));

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'bundle-'));
  const outcome = await runChild(process.execPath, [build, join(directory, 'bundle.js')]);
  expect(outcome).toMatchObject({ status: 0, stderr: expect.not.stringContaining('rror') });
});

afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the bundle where no package is installed. */
const bundle = (...args: string[]): Promise<Outcome> =>
  runChild(process.execPath, [join(directory, 'bundle.js'), ...args], { cwd: directory });

test('the bundle runs without any installed package', async () => {
  const { status, stdout, stderr } = await bundle('version');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^clustermesh-apiserver \d/);
});

test.each(['clustermesh', 'kvstoremesh'])('a port in use ends %s with one line that names the flag', async (command) => {
  const occupant = createServer();
  await new Promise<void>((resolve) => occupant.listen(0, '::', resolve));
  const { port } = occupant.address() as AddressInfo;
  const flags = ['--cluster-name=east', '--cluster-id=1', '--kvstore-opt=etcd.address=http://127.0.0.1:1'];

  const { status, stderr } = await bundle(command, ...flags, `--health-port=${port}`);

  occupant.close();
  const complaints = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; msg: string })
    .filter(({ level }) => level !== 'info');
  expect(complaints).toMatchObject([
    { level: 'fatal', msg: `flag --health-port: cannot listen on :${port}: the port is in use; free it or choose another` },
  ]);
  expect(status).toBe(255);
});
