import { afterEach, beforeEach, expect, test } from 'vitest';
import { Health, Readiness } from '../../src/shared/http/health.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { type HttpServer, ListenError, serveHealth } from '../../src/shared/http/server.ts';
import { serveHealthOn } from '../../src/shared/process/health-port.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let stop: AbortController;
let registry: Registry;
let health: Health;
let server: HttpServer;

beforeEach(async () => {
  stop = new AbortController();
  registry = new Registry('test_');
  health = new Health(registry);
  server = await serveHealth(health, { address: { host: undefined, port: 0 }, flag: 'health-port', signal: stop.signal });
});

afterEach(async () => {
  stop.abort();
  await server.close();
});

async function get(path: string, host = '127.0.0.1'): Promise<{ status: number; type: string | null; body: string }> {
  const response = await fetch(`http://${host}:${server.port}${path}`);
  return { status: response.status, type: response.headers.get('content-type'), body: await response.text() };
}

test('readiness is sent without a line break and never reverts', async () => {
  expect(await get('/readyz')).toEqual({ status: 500, type: 'text/plain; charset=utf-8', body: 'NotReady' });
  health.markReady();
  health.addCheck('etcd', () => 'unreachable');
  expect(await get('/readyz')).toEqual({ status: 200, type: 'text/plain; charset=utf-8', body: 'Ready' });
});

test('daemons of one process are ready together', () => {
  const readiness = new Readiness(2);
  const [first, second] = [new Health(new Registry('first_'), readiness), new Health(new Registry('second_'), readiness)];
  first.markReady();
  first.markReady();
  expect([first.ready, second.ready]).toEqual([false, false]);
  second.markReady();
  expect([first.ready, second.ready]).toEqual([true, true]);
});

test('the time to readiness is shown once it is known, and not changed later', async () => {
  expect(await registry.metrics()).toContain('test_bootstrap_seconds 0');
  health.markReady();
  const first = await registry.metrics();
  expect(first).toMatch(/^test_bootstrap_seconds [\d.]*[1-9]/m);
  health.markReady();
  expect(await registry.metrics()).toBe(first);
});

test('/healthz lists a problem until it is removed', async () => {
  const path = '/healthz';
  expect(await get(path)).toEqual({ status: 200, type: 'text/plain; charset=utf-8', body: 'ok' });
  health.addCheck('fine', () => undefined);
  health.addCheck('fine as well', () => []);
  const remove = health.addCheck('etcd', () => 'no space left');
  health.addCheck('kubernetes', () => 'no watch for 90s');
  expect(await get(path)).toMatchObject({ status: 500, body: 'etcd: no space left\nkubernetes: no watch for 90s\n' });
  remove();
  expect(await get(path)).toMatchObject({ status: 500, body: 'kubernetes: no watch for 90s\n' });
});

test('the problems of each check are counted, and a removed check has no series', async () => {
  health.addCheck('fine', () => undefined);
  const remove = health.addCheck('users', () => ['a', 'b']);
  const counts = async () => (await registry.metrics()).match(/^test_health_problems\{.*/gm);
  expect(await counts()).toEqual(['test_health_problems{check="fine"} 0', 'test_health_problems{check="users"} 2']);
  remove();
  expect(await counts()).toEqual(['test_health_problems{check="fine"} 0']);
});

test('/livez lists problems and is alive anyway, since no restart would fix them', async () => {
  expect(await get('/livez')).toEqual({ status: 200, type: 'text/plain; charset=utf-8', body: 'ok' });
  health.addCheck('etcd', () => 'no space left');
  expect(await get('/livez')).toMatchObject({ status: 200, body: 'etcd: no space left\n' });
});

test('a check may name several things, each on a line of its own and of bounded length', async () => {
  health.addCheck('remotes', () => ['east is refused:\n  equal IDs', `west ${'x'.repeat(10_000)}`]);
  const [east, west, end] = (await get('/healthz')).body.split('\n');
  expect(east).toBe('remotes: east is refused: equal IDs');
  expect(west?.length).toBe(500);
  expect(end).toBe('');
});

test.each([
  ['/var/lib/etcd-secrets/tls.crt ends at 2026', 'tls.crt ends at 2026'],
  [
    "/cm: cannot be read: EACCES: permission denied, scandir '/var/lib/cilium/clustermesh'",
    "cm: cannot be read: EACCES: permission denied, scandir 'clustermesh'",
  ],
  ['west is refused: /var/lib/cilium/clustermesh/west:3: endpoints[1]: no URL', 'west is refused: west:3: endpoints[1]: no URL'],
  ['ca-file=/etc/ssl/ca.pem (/etc/ssl/x.pem) "/a/b"', 'ca-file=ca.pem (x.pem) "b"'],
  [
    'https://10.0.0.1:2379/a/b of cilium/state/nodes/v1 and/or 1 / 2',
    'https://10.0.0.1:2379/a/b of cilium/state/nodes/v1 and/or 1 / 2',
  ],
])('a file is named without its directory: %s', async (said, told) => {
  health.addCheck('x', () => said);
  for (const path of ['/healthz', '/livez']) expect((await get(path)).body).toBe(`x: ${told}\n`);
});

test.each(['/', '/health', '/metrics', '/readyz/', '/readyz%00'])('%s is not found', async (path) => {
  expect((await get(path)).status).toBe(404);
});

test('all addresses means IPv4 and, where the machine has it, IPv6', async () => {
  expect((await get('/livez', '127.0.0.1')).status).toBe(200);
  const six = await get('/livez', '[::1]').catch(() => undefined);
  if (six !== undefined) expect(six.status).toBe(200);
});

test('a port in use is refused with the flag that names it', async () => {
  const address = { host: undefined, port: server.port };
  const second = serveHealth(health, { address, flag: 'health-port', signal: stop.signal });
  await expect(second).rejects.toThrow(
    `flag --health-port: cannot listen on :${server.port}: the port is in use; free it or choose another`,
  );
  await expect(second).rejects.toBeInstanceOf(ListenError);
});

test('without the flag, a port in use is left to the other process, with a warning', async () => {
  const { log, lines } = recordingLogger();
  const options = { log, signal: stop.signal };
  expect(await serveHealthOn(undefined, health, options, server.port)).toBeUndefined();
  expect(lines).toMatchObject([{ level: 'warn', port: server.port }]);
  await expect(serveHealthOn(server.port, health, options)).rejects.toBeInstanceOf(ListenError);
});

test('an address that is none of the machine is refused', async () => {
  const address = { host: '192.0.2.1', port: 0 };
  await expect(serveHealth(health, { address, flag: 'api-serve-addr', signal: stop.signal })).rejects.toThrow(
    'flag --api-serve-addr: cannot listen on 192.0.2.1:0: the address does not belong to this host',
  );
});

test('the server is gone when its signal is aborted, open connections too', async () => {
  await get('/livez');
  stop.abort();
  await server.close();
  await expect(get('/livez')).rejects.toThrow();
});

test('a server is not started for a signal that was aborted before', async () => {
  stop.abort(new Error('stopping'));
  const late = serveHealth(health, { address: { host: undefined, port: 0 }, flag: 'health-port', signal: stop.signal });
  await expect(late).rejects.toThrow('stopping');
});
