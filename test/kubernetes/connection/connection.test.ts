/** Credentials, servers and the ways to lose them. */

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, vi } from 'vitest';
import { type ConnectionOptions, openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import {
  KubeConfigError,
  KubeCredentialsError,
  KubeUnauthorizedError,
  KubeUnreachableError,
} from '../../../src/shared/kubernetes/errors.ts';
import { runHeartbeat } from '../../../src/shared/kubernetes/heartbeat.ts';
import { checkVersion, readVersion } from '../../../src/shared/kubernetes/version.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { HastyClock } from '../../support/clocks.ts';
import { askVersion, connectionOptions } from '../../support/kubernetes/connection-options.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until, within } from '../../support/until.ts';
import { FakeApiserver, sendStatus, status } from '../fake-apiserver.ts';
import { apiTest, ReflectorRun, WIDGETS_PATH } from '../reflector-fixture.ts';

const test = apiTest((api) => api.collection(WIDGETS_PATH).put('ns/a')).extend<{ other: FakeApiserver; directory: string }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest looks at the pattern for the fixtures it has to prepare
  other: async ({}, use) => {
    await using other = await FakeApiserver.start();
    other.collection(WIDGETS_PATH).put('ns/a');
    await use(other);
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest looks at the pattern for the fixtures it has to prepare
  directory: async ({}, use) => {
    await use(temporaryDirectory('kubeconfig'));
  },
});

const { signal } = new AbortController();

afterEach(() => vi.unstubAllEnvs());

async function kubeconfig(directory: string, server: string, user: object, cluster: object = {}): Promise<string> {
  const path = join(directory, 'kubeconfig');
  await writeFile(path, kubeconfigText({ server, ...cluster }, user));
  return path;
}

const authorizations = (api: FakeApiserver) => api.requests.map(({ headers }) => headers.authorization);

test('a token, a password and our name are sent as headers', async ({ api, directory }) => {
  await askVersion({ kubeconfigPath: await kubeconfig(directory, api.url, { token: 'secret' }), userAgent: 'mesh/1.2' });
  await askVersion({ kubeconfigPath: await kubeconfig(directory, `${api.url}/`, { username: 'me', password: 'pw' }) });
  expect(authorizations(api)).toEqual(['Bearer secret', `Basic ${Buffer.from('me:pw').toString('base64')}`]);
  expect(api.requests[0]?.headers['user-agent']).toBe('mesh/1.2');
});

test('a request on an idle connection that the server has just closed is sent on another one', async ({ api }) => {
  const known = new Set<unknown>();
  api.faults.push((_, { socket }) => {
    const isReused = known.has(socket);
    known.add(socket);
    if (isReused) socket?.destroy();
    return isReused;
  });
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  const first = await readVersion(connection, signal);
  await expect(readVersion(connection, signal)).resolves.toBe(first);
  expect(api.requests).toHaveLength(3);
  await connection.close();
});

test('a request that still connects ends at once when the connection is closed', async ({ directory }) => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const kubeconfigPath = await kubeconfig(directory, `https://127.0.0.1:${port}`, {});
  const connection = await openConnection(connectionOptions({ kubeconfigPath, connectTimeoutMs: 0 }));
  const answer = expect(readVersion(connection, signal)).rejects.toThrow('was closed');
  const [socket] = (await once(silent, 'connection')) as [Socket];
  await connection.close();
  await within('the request has ended', answer);
  socket.destroy();
  silent.close();
});

test('the path of a server behind a gateway is kept', async ({ api, directory }) => {
  const path = await kubeconfig(directory, `${api.url}/k8s/clusters/c-1`, {});
  await expect(askVersion({ kubeconfigPath: path })).rejects.toThrow('does not have this resource');
  expect(api.requests[0]?.path).toBe('/k8s/clusters/c-1/version');
});

test('fault 40: an expired token is replaced by the current one of its file', async ({ api, directory }) => {
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, 'old\n');
  let accepted = 'Bearer old';
  api.faults.push((request, response) => request.headers.authorization !== accepted && sendStatus(response, 401, 'Unauthorized'));
  const path = await kubeconfig(directory, api.url, { tokenFile: 'token' });
  await using run = await ReflectorRun.listed([], { connection: { kubeconfigPath: path } });

  accepted = 'Bearer new';
  api.endWatches();
  await until('the old token is refused', () => run.failures.includes('KUBE_UNAUTHORIZED'));
  await writeFile(tokenFile, 'new\n');
  api.collection(WIDGETS_PATH).put('ns/b');

  await run.holds(['ns/a', 'ns/b']);
  expect(run.listings).toBe(1);
});

test('an exec plugin is run once for requests that start together, and again when its token is refused', async ({
  api,
  directory,
}) => {
  const plugin = join(directory, 'plugin');
  const runs = join(directory, 'runs');
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: 'TOKEN' } };
  await writeFile(
    plugin,
    `#!/bin/sh\necho >> ${runs}\nn=$(wc -l < ${runs})\necho '${JSON.stringify(credential)}' | sed "s/TOKEN/token-$n/"\n`,
  );
  await chmod(plugin, 0o700);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin };
  const path = await kubeconfig(directory, api.url, { exec });
  const connection = await openConnection(connectionOptions({ kubeconfigPath: path }));

  await Promise.all([readVersion(connection, signal), readVersion(connection, signal)]);
  api.fail(() => true, status(401, 'Unauthorized'));
  await readVersion(connection, signal);

  expect(authorizations(api)).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  await connection.close();
});

test('a plugin that hangs does not hold up the end', async ({ api, directory }) => {
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/sleep', args: ['3'] };
  const path = await kubeconfig(directory, api.url, { exec });
  const connection = await openConnection(connectionOptions({ kubeconfigPath: path }));
  const stop = new AbortController();
  const asking = readVersion(connection, stop.signal);
  const reason = new Error('the end');
  stop.abort(reason);
  await expect(within('the request ends', asking, 1_000)).rejects.toBe(reason);
  await connection.close();
});

test('credentials that cannot be read are an error that may pass, without their content', async ({ api, directory }) => {
  const missing = await kubeconfig(directory, api.url, { tokenFile: '/does/not/exist' });
  await expect(askVersion({ kubeconfigPath: missing })).rejects.toThrow(KubeCredentialsError);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/false' };
  await expect(askVersion({ kubeconfigPath: await kubeconfig(directory, api.url, { exec }) })).rejects.toThrow(
    KubeCredentialsError,
  );
});

test('rejected credentials are reported', async ({ api, directory }) => {
  api.faults.push(status(401, 'Unauthorized'));
  const path = await kubeconfig(directory, api.url, { token: 'secret-token' });
  const error: unknown = await askVersion({ kubeconfigPath: path }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubeUnauthorizedError);
  expect(String(error)).not.toContain('secret-token');
});

test('credentials do not travel in plain text to a server that the kubeconfig does not name', async ({
  api,
  other,
  directory,
}) => {
  const path = await kubeconfig(directory, api.url, { token: 'secret' });
  await askVersion({ kubeconfigPath: path, serverUrls: [other.url] });
  expect(authorizations(other)).toEqual([undefined]);
});

const unusable: ReadonlyArray<readonly [string, (directory: string) => Promise<Partial<ConnectionOptions>>, RegExp]> = [
  ['a missing kubeconfig', async (directory) => ({ kubeconfigPath: join(directory, 'none') }), /none: cannot be read: ENOENT/],
  [
    'a server that is no URL',
    async (directory) => ({ kubeconfigPath: await kubeconfig(directory, 'https://', {}) }),
    /not a URL/,
  ],
  ['an API server of another scheme', async () => ({ serverUrls: ['ftp://k8s'] }), /"ftp:\/\/k8s" is not the URL/],
  [
    'a proxy of another kind',
    async (directory) => ({ kubeconfigPath: await kubeconfig(directory, 'https://k8s', {}, { 'proxy-url': 'ftp://p' }) }),
    /proxy-url: allowed: a URL with http, https or socks5/,
  ],
  [
    'a kubeconfig that is no mapping',
    async (directory) => {
      await writeFile(join(directory, 'list'), '- a');
      return { kubeconfigPath: join(directory, 'list') };
    },
    /list:1: allowed: keys and values/,
  ],
  [
    'no pod around us',
    async () => {
      vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined);
      return {};
    },
    /outside of a pod/,
  ],
];

test.for(unusable)('%s can never work, and is reported', async ([, arrange, message], { directory }) => {
  const error: unknown = await openConnection(connectionOptions(await arrange(directory))).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KubeConfigError);
  expect((error as Error).message).toMatch(message);
});

const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

test.skipIf(existsSync(TOKEN))(
  'a pod without a service account says which file it misses (skipped inside of a pod)',
  async () => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', 'fd00::1');
    vi.stubEnv('KUBERNETES_SERVICE_PORT', '443');
    const asking = askVersion({});
    await expect(asking).rejects.toThrow(KubeCredentialsError);
    await expect(asking).rejects.toThrow('/var/run/secrets/kubernetes.io/serviceaccount/');
  },
);

test('the next server is asked where one cannot be reached, within the same request', async ({ api }) => {
  const dead = await FakeApiserver.start();
  await dead[Symbol.asyncDispose]();
  expect(await askVersion({ serverUrls: [dead.url, api.url] })).toBe('v1.34.0-fake');
  await expect(askVersion({ serverUrls: [dead.url] })).rejects.toThrow(KubeUnreachableError);
});

test('fault 40: a reflector continues at another server when its own dies, and loses nothing', async ({ api, other }) => {
  await using run = await ReflectorRun.listed([api.url, other.url]);
  for (const fake of [api, other]) fake.collection(WIDGETS_PATH).put('ns/b');
  await run.holds(['ns/a', 'ns/b']);
  await api[Symbol.asyncDispose]();
  other.collection(WIDGETS_PATH).put('ns/c');

  await run.holds(['ns/a', 'ns/b', 'ns/c']);
  expect(run.listings).toBe(1);
});

test('fault 40: a server that only fails is left for another', async ({ api, other }) => {
  api.faults.push(status(500, 'InternalError'));
  await using run = await ReflectorRun.start([api.url, other.url]);
  await run.holds(['ns/a']);
  await until('it watches the other one', () => other.watchers.size === 1, { status: () => run.status() });
});

test('short requests reuse idle sockets', async ({ api }) => {
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  for (let n = 0; n < 10; n += 1) await readVersion(connection, signal);
  // The first socket may not be idle yet when the second request sets out.
  expect(api.accepted).toBeLessThanOrEqual(2);
  await connection.close();
});

test('requests beyond the burst wait for their turn', async ({ api }) => {
  const clock = new HastyClock(20);
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url], clock, rate: { perSecond: 2, burst: 3 } }));
  const startedMs = clock.monotonicMs();
  await Promise.all(Array.from({ length: 9 }, () => readVersion(connection, signal)));
  // Three at once, six more at two a second.
  expect(clock.monotonicMs() - startedMs).toBeGreaterThanOrEqual(2_990);
  await connection.close();
});

test('the start waits for an API server that does not exist yet, for up to a minute', async ({ api }) => {
  const clock = new HastyClock(20);
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url], clock }));
  api.fail(() => true, status(503, 'ServiceUnavailable'), 3);
  expect(await checkVersion({ connection, log: silentLogger, clock, signal })).toBe('v1.34.0-fake');

  api.faults.push(status(503, 'ServiceUnavailable'));
  await expect(checkVersion({ connection, log: silentLogger, clock, signal })).rejects.toThrow('cannot get the server version');

  api.faults.unshift(status(403, 'Forbidden'));
  await expect(checkVersion({ connection, log: silentLogger, clock, signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  await connection.close();
});

test('a server that stops answering is noticed by its heartbeat, and the watches move on', async ({ api, other }) => {
  const clock = new HastyClock(40);
  await using run = await ReflectorRun.listed([api.url, other.url], { clock });
  const stop = new AbortController();
  const beats: boolean[] = [];
  const options = { intervalMs: 30_000, log: silentLogger, clock, signal: stop.signal };
  const onBeat = (answered: boolean) => beats.push(answered);
  const beating = runHeartbeat({ connection: run.connection, ...options, onBeat });
  await until('beats are answered', () => beats.includes(true));
  expect(beats).not.toContain(false);
  // From now on nothing comes any more, and nothing is closed either.
  for (const { response } of api.watchers) response.write = () => true;
  api.faults.push(() => true);
  other.collection(WIDGETS_PATH).put('ns/b');

  await run.holds(['ns/a', 'ns/b']);
  expect(beats).toContain(false);
  stop.abort();
  await within('the heartbeat ends', beating);
});

test('no heartbeat is sent where none is wanted', async ({ api }) => {
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  await runHeartbeat({ connection, intervalMs: 0, log: silentLogger, clock: systemClock, signal });
  expect(api.requests).toHaveLength(0);
  await connection.close();
});
