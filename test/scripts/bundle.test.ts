import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { freePort } from '../support/network/free-port.ts';
import { type Outcome, runChild, startChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const build = fileURLToPath(new URL('../../scripts/build.ts', import.meta.url));

const directory = temporaryDirectory('bundle');

beforeAll(async () => {
  const outcome = await runChild(process.execPath, [build, join(directory, 'bundle.js')]);
  expect(outcome).toMatchObject({ status: 0, stderr: expect.not.stringContaining('rror') });
});

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

test.each([
  ['the exec plugin of a kubeconfig', 'of-the-plugin'],
  ['a kubeconfig', 'of-the-file'],
])('the bundle takes a token from %s, and has no APIs that it does not use', async (_, token) => {
  const authorizations: (string | undefined)[] = [];
  const api = createHttpServer((request, response) => {
    authorizations.push(request.headers.authorization);
    response.writeHead(403).end();
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const apiVersion = 'client.authentication.k8s.io/v1';
  const credential = JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { token } });
  const plugin = { exec: { apiVersion, command: 'echo', args: [credential], interactiveMode: 'Never' } };
  const kubeconfig = join(directory, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'a', cluster: { server: `http://127.0.0.1:${(api.address() as AddressInfo).port}` } }],
      users: [{ name: 'u', user: token === 'of-the-file' ? { token } : plugin }],
      contexts: [{ name: 'c', context: { cluster: 'a', user: 'u' } }],
      'current-context': 'c',
    }),
  );
  const flags = ['--cluster-name=east', '--cluster-id=1', '--kvstore-opt=etcd.address=http://127.0.0.1:1', '--health-port=0'];
  const args = [join(directory, 'bundle.js'), 'clustermesh', `--k8s-kubeconfig-path=${kubeconfig}`, ...flags];
  await using daemon = startChild(process.execPath, args, { cwd: directory });
  await until('the API is asked', () => authorizations.length > 0, { status: () => daemon.stderrSoFar });
  api.close();
  api.closeAllConnections();

  expect(new Set(authorizations)).toEqual(new Set([`Bearer ${token}`]));
  expect(filesOf().reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(5_000_000);
});

/** The bundle and its parts. */
const filesOf = () => globSync(['bundle.js', 'parts/*.js'], { cwd: directory }).map((file) => join(directory, file));

/** What the program has loaded before it ended, as files of the bundle or modules of Node. */
async function loadedBy(...args: string[]): Promise<{ files: string[]; builtins: string[] }> {
  const report = join(directory, 'loaded.json');
  const hook = join(directory, 'report.cjs');
  writeFileSync(
    hook,
    `const files = [];
     require('node:module').registerHooks({ load(url, context, next) { files.push(url); return next(url, context); } });
     process.once('exit', () => {
       const builtins = process.moduleLoadList.map((name) => name.replace(/^NativeModule /, ''));
       require('node:fs').writeFileSync(${JSON.stringify(report)}, JSON.stringify({ files, builtins }));
     });`,
  );
  await runChild(process.execPath, ['--require', hook, join(directory, 'bundle.js'), ...args], { cwd: directory });
  return JSON.parse(readFileSync(report, 'utf8'));
}

test('a command that connects to nothing loads no client', async () => {
  const { files, builtins } = await loadedBy('version');
  const bytes = files.filter((url) => url.startsWith('file:')).reduce((sum, url) => sum + statSync(new URL(url)).size, 0);
  expect(bytes).toBeLessThan(300_000);
  expect(builtins).not.toContain('http2');
});

test('no error class has lost its name, which is part of log lines', () => {
  const sources = globSync('src/**/*.ts', { cwd: fileURLToPath(new URL('../..', import.meta.url)) });
  expect(sources.length).toBeGreaterThan(100);
  const text = filesOf()
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n');
  const named = new Set(text.match(/\b\w+Error(?==class\b)|(?<=class )\w+Error\b/g));
  const declared = sources.flatMap((file) => [
    ...readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8').matchAll(/^export class (\w+Error)\b/gm),
  ]);
  expect(declared.map(([, name]) => name).filter((name) => !named.has(name ?? ''))).toEqual([]);
});

test('the bundle has the files of the status page, below 60 kB together', async () => {
  const [api, health] = [await freePort(), await freePort()];
  const flags = ['--cluster-name=east', '--cluster-id=1', '--kvstore-opt=etcd.address=http://127.0.0.1:1'];
  const ports = [`--health-port=${health}`, `--api-serve-addr=127.0.0.1:${api}`];
  await using daemon = startChild(process.execPath, [join(directory, 'bundle.js'), 'kvstoremesh', ...flags, ...ports], {
    cwd: directory,
  });
  const read = async (path: string) => (await fetch(`http://127.0.0.1:${api}${path}`)).text();
  const page = await until('the page is served', () => read('/'), { status: () => daemon.stderrSoFar });
  const paths = [...page.matchAll(/(?:href|src)="(page\/[^"]+)"/g)].map(([, path]) => `/${path}`);
  expect(paths.sort()).toEqual(['/page/main.js', '/page/page.css']);
  const [script = '', style = ''] = await Promise.all(paths.map(read));
  expect(script).toContain('EventSource');
  expect(script).not.toMatch(/from\s*['"]\.\//);
  expect(style).toContain('prefers-color-scheme');
  expect(Buffer.byteLength(page + script + style)).toBeLessThan(60_000);
});
