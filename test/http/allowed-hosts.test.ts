import { request } from 'node:http';
import { hostname } from 'node:os';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allowedHosts, searchDomainsOf } from '../../src/shared/http/allowed-hosts.ts';
import { Health } from '../../src/shared/http/health.ts';
import { Registry } from '../../src/shared/http/metrics.ts';
import { type HttpServer, serveHealth, serveJson, serveMetrics } from '../../src/shared/http/server.ts';

const POD = {
  hostname: 'clustermesh-apiserver-5d8f',
  searchDomains: ['kube-system.svc.cluster.example.com', 'svc.cluster.example.com', 'cluster.example.com', 'eu.example.net'],
  added: ['Metrics.example.org'],
};

test.each([
  ...[
    undefined,
    '',
    '10.0.0.7:9962',
    '127.0.0.1',
    '[::1]:9880',
    '[fd00::7]',
    'localhost:9889',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
  ],
  ...['clustermesh-apiserver-metrics:9962', 'clustermesh-apiserver-metrics.kube-system:9962', 'metrics.kube-system.svc:9962'],
  ...['metrics.kube-system.svc.cluster.example.com:9962', '10-0-0-7.kube-system.pod.cluster.example.com.', 'a.svc.cluster.local'],
  ...[
    'clustermesh-apiserver-5d8f',
    'clustermesh-apiserver-5d8f.eu.example.net',
    'ip-10-0-0-7.ec2.internal',
    'metrics.example.org:80',
  ],
])('%s is a name that no page of the web can have', (host) => {
  expect(allowedHosts(POD)(host)).toBe(true);
});

test.each([
  ...[
    'evil.com',
    'evil.com:9962',
    'EVIL.COM.',
    'a.b.evil.dev',
    'kube-system.svc.evil.com',
    'localhost.evil.com',
    '127.0.0.1.nip.io',
  ],
  ...[
    'cluster.example.com',
    'other.eu.example.net',
    'xn--a.xn--p1ai',
    '10.0.0.7.evil.com',
    'evil.com:9962:9962',
    '[::1].evil.com',
  ],
  ...['metrics.example.org.evil.com', `${'a'.repeat(300)}`, 'user@localhost.evil.com', 'svc.com'],
])('%s is a name that a page of the web may have', (host) => {
  expect(allowedHosts(POD)(host)).toBe(false);
});

test('a star allows any name', () => {
  expect(allowedHosts({ ...POD, added: ['*'] })('evil.com')).toBe(true);
});

test('the last line of search domains counts', () => {
  expect(searchDomainsOf('search old\nnameserver 10.0.0.10\nsearch  a.svc.x svc.x\toptions\noptions ndots:5\n')).toEqual([
    'a.svc.x',
    'svc.x',
    'options',
  ]);
  expect(searchDomainsOf('nameserver 10.0.0.10\n')).toEqual([]);
});

describe('the servers', () => {
  const stop = new AbortController();
  const servers: Record<string, HttpServer> = {};

  beforeAll(async () => {
    const registry = new Registry('t_');
    const health = new Health(registry);
    const options = {
      address: { host: '127.0.0.1', port: 0 },
      flag: 'x',
      allowedHosts: ['status.example.com'],
      signal: stop.signal,
    };
    servers.health = await serveHealth(health, options);
    servers.metrics = await serveMetrics(registry, options);
    servers.json = await serveJson({ '/v1/cluster': () => [] }, options);
  });

  afterAll(() => stop.abort());

  async function get(server: string, path: string, host: string, headers: Readonly<Record<string, string>> = {}) {
    const { promise, resolve, reject } = Promise.withResolvers<import('node:http').IncomingMessage>();
    request({ port: servers[server]?.port, host: '127.0.0.1', path, headers: { ...headers, host } }, resolve)
      .on('error', reject)
      .end();
    const response = await promise;
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  }

  const PATHS = [
    ['health', '/healthz'],
    ['health', '/livez'],
    ['health', '/nothing'],
    ['metrics', '/metrics'],
    ['metrics', '/nothing'],
    ['json', '/v1/cluster'],
    ['json', '/nothing'],
  ] as const;

  test.each(PATHS)('%s%s is refused by the name of a stranger', async (server, path) => {
    const { status, body } = await get(server, path, 'evil.com:9962');
    expect(status).toBe(403);
    expect(body).toContain('--allowed-hosts');
    expect(body).not.toContain('evil');
  });

  test.each(PATHS)(
    '%s%s is answered by its address, its name, and one that was added, without a word on other origins',
    async (server, path) => {
      for (const host of ['127.0.0.1:9962', 'localhost', hostname(), 'status.example.com']) {
        const { status, headers } = await get(server, path, host, { origin: 'https://evil.com' });
        expect(status).toBe(path === '/nothing' ? 404 : 200);
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
    },
  );

  test('a probe may call readiness as it likes', async () => {
    expect(await get('health', '/readyz', 'load-balancer.example.org')).toMatchObject({ status: 500, body: 'NotReady' });
  });
});
