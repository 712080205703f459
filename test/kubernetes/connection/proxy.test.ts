/** The way to an API server that is reached through a proxy only, or must not be. */

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Environment, proxyFromEnvironment } from '../../../src/shared/kubernetes/connection/proxy.ts';
import { askVersion } from '../../support/kubernetes/connection-options.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { opensslMissing } from '../../support/tls/certificates.ts';
import { CertificateAuthority } from '../../support/tls/pki.ts';
import { until } from '../../support/until.ts';
import { FakeApiserver } from '../fake-apiserver.ts';
import { ReflectorRun, WIDGETS_PATH } from '../reflector-fixture.ts';
import { httpProxy, socksProxy } from './proxies.ts';

const HOST = 'kube.internal.example.test';
const missing = opensslMissing();

describe.skipIf(missing !== undefined)(`through a proxy${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  let authority: CertificateAuthority;
  let api: FakeApiserver;
  const directory = temporaryDirectory('proxy');
  let port: number;

  beforeAll(async () => {
    authority = new CertificateAuthority();
    api = await FakeApiserver.start(createServer(authority.sign(HOST)));
    api.collection(WIDGETS_PATH).put('ns/a');
    port = Number(new URL(api.url).port);
  });
  afterAll(() => api[Symbol.asyncDispose]());

  async function kubeconfig(cluster: object, user: object = { token: 'secret' }): Promise<string> {
    const path = join(directory, 'kubeconfig');
    const ca = Buffer.from(authority.cert).toString('base64');
    const own = { server: `https://${HOST}:${port}`, 'certificate-authority-data': ca, ...cluster };
    await writeFile(path, kubeconfigText(own, user));
    return path;
  }

  const ask = (kubeconfigPath: string, environment: Environment = {}) =>
    askVersion({ kubeconfigPath, environment, connectTimeoutMs: 5_000 });

  test('case 22: the proxy of the kubeconfig is used, with any environment', async () => {
    const proxy = await httpProxy(port);
    const path = await kubeconfig({ 'proxy-url': `http://me:p%40ss@127.0.0.1:${proxy.port}` });
    expect(await ask(path, { HTTPS_PROXY: 'http://127.0.0.1:1', NO_PROXY: '*' })).toBe('v1.34.0-fake');
    expect(proxy.asked).toEqual([`CONNECT ${HOST}:${port}`]);
    expect(proxy.authorizations).toEqual([`Basic ${Buffer.from('me:p@ss').toString('base64')}`]);
    expect(api.requests.at(-1)?.headers.authorization).toBe('Bearer secret');
    expect(api.requests.at(-1)?.headers).not.toHaveProperty('proxy-authorization');
  });

  test('case 22: the proxy of the environment is used', async () => {
    const proxy = await httpProxy(port);
    const path = await kubeconfig({});
    expect(await ask(path, { https_proxy: `127.0.0.1:${proxy.port}` })).toBe('v1.34.0-fake');
    expect(proxy.asked).toHaveLength(1);
    await expect(ask(path, { HTTPS_PROXY: `127.0.0.1:${proxy.port}`, no_proxy: '.example.test' })).rejects.toThrow(
      /ENOTFOUND|EAI_AGAIN/,
    );
    expect(proxy.asked).toHaveLength(1);
  });

  test('a proxy with TLS and one with SOCKS are used', async () => {
    const secure = await httpProxy(port, authority.sign('proxy.test'));
    expect(await ask(await kubeconfig({ 'proxy-url': `https://127.0.0.1:${secure.port}` }))).toBe('v1.34.0-fake');
    expect(secure.asked).toEqual([`CONNECT ${HOST}:${port}`]);
    const socks = await socksProxy(port);
    expect(await ask(await kubeconfig({ 'proxy-url': `socks5://127.0.0.1:${socks.port}` }))).toBe('v1.34.0-fake');
    expect(socks.asked).toEqual([`SOCKS ${HOST}:${port}`]);
  });

  test('a watch goes through a proxy', async () => {
    const proxy = await httpProxy(port);
    const kubeconfigPath = await kubeconfig({ 'proxy-url': `http://127.0.0.1:${proxy.port}` });
    await using run = await ReflectorRun.listed([], { connection: { kubeconfigPath } });
    await until('it watches', () => api.watchers.size > 0);
    api.collection(WIDGETS_PATH).put('ns/b');
    await run.holds(['ns/a', 'ns/b']);
    expect(proxy.asked.every((line) => line === `CONNECT ${HOST}:${port}`)).toBe(true);
  });

  test('a proxy that refuses is named', async () => {
    await using refusing = await FakeApiserver.start();
    const { host } = new URL(refusing.url);
    const path = await kubeconfig({ 'proxy-url': `http://me:hunter2@${host}` });
    const error: unknown = await ask(path).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain(`the proxy ${host}`);
    expect(String(error)).not.toContain('hunter2');
  });

  test('case 15: the dot of an absolute name is no part of the name in the certificate', async () => {
    const proxy = await httpProxy(port);
    const cluster = { server: `https://${HOST}.:${port}`, 'proxy-url': `http://127.0.0.1:${proxy.port}` };
    expect(await ask(await kubeconfig(cluster))).toBe('v1.34.0-fake');
  });

  test('a server that cannot be verified behind a proxy is refused', async () => {
    const proxy = await httpProxy(port);
    const other = new CertificateAuthority();
    const ca = Buffer.from(other.cert).toString('base64');
    const path = await kubeconfig({ 'proxy-url': `http://127.0.0.1:${proxy.port}`, 'certificate-authority-data': ca });
    await expect(ask(path)).rejects.toThrow(/not trusted/);
  });

  test('a server without TLS is asked through a proxy in the form with the whole URL, and is sent no credentials', async () => {
    const proxy = await httpProxy(port);
    const server = `http://${HOST}:8080`;
    expect(await ask(await kubeconfig({ server }), { HTTP_PROXY: `http://127.0.0.1:${proxy.port}` })).toBe('v1-proxied');
    expect(proxy.asked).toEqual([`GET ${server}/version`]);
  });
});

test.each<[string, string, string, boolean]>([
  ['https://10.96.0.1:443', '', '', true],
  ['https://10.96.0.1:443', '10.96.0.0/12', '', false],
  ['https://10.96.0.1:443', '10.96.0.1', '', false],
  ['https://10.96.0.1:443', '10.96.0.1:443', '', false],
  ['https://10.96.0.1', '10.96.0.1:443', '', false],
  ['https://10.96.0.1:443', '10.96.0.1:6443', '', true],
  ['https://10.96.0.1', '10.96.0.2, 10.96.0.1', '', false],
  ['https://[fd00::1]:6443', 'fd00::/8', '', false],
  ['https://[fd00::1]:6443', 'fd00::1', '', false],
  ['https://[fd00::1]:6443', '[fd00::1]:6443', '', false],
  ['https://[fd00::1]:6443', '[fd00::1]:443', '', true],
  ['https://k.example.com', 'example.com', '', false],
  ['https://k.example.com', '.example.com', '', false],
  ['https://k.example.com', '*.example.com', '', false],
  ['https://K.Example.com', 'k.EXAMPLE.com', '', false],
  ['https://example.com', '.example.com', '', true],
  ['https://badexample.com', 'example.com', '', true],
  ['https://k.example.com', '*', '', false],
  ['https://k.example.com', 'example.com:443', '', false],
  ['https://k.example.com:6443', 'example.com:443', '', true],
  ['https://k.example.com', ',,:443, /8,[', '', true],
  ['https://localhost:6443', '', '', false],
  ['https://127.0.0.9:6443', '', '', false],
  ['https://[::1]:6443', '', '', false],
  ['http://10.0.0.1:8080', '', 'HTTP_PROXY', true],
  ['http://10.0.0.1:8080', '', '', false],
])('%s with NO_PROXY=%j%s goes through a proxy: %s', (server, noProxy, name, isProxied) => {
  const environment = { [name || 'HTTPS_PROXY']: 'http://proxy:3128', NO_PROXY: noProxy };
  expect(proxyFromEnvironment(new URL(server), environment) !== undefined).toBe(isProxied);
});

test('the name in upper case comes before that in lower case, and a proxy without a scheme is one with http', () => {
  const server = new URL('https://k.example.com');
  expect(proxyFromEnvironment(server, { HTTPS_PROXY: 'a:1', https_proxy: 'b:1' })?.href).toBe('http://a:1/');
  expect(proxyFromEnvironment(server, { HTTPS_PROXY: '', https_proxy: 'socks5://b:1' })?.href).toBe('socks5://b:1');
  expect(proxyFromEnvironment(server, { HTTPS_PROXY: 'ftp://a b' })).toBeUndefined();
});
