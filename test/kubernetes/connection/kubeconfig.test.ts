/** Credentials as client-go takes them from a kubeconfig and from a pod. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { loadKubeConfig } from '../../../src/shared/kubernetes/connection/kubeconfig.ts';
import { KubeConfigError, KubeCredentialsError } from '../../../src/shared/kubernetes/errors.ts';
import { readVersion } from '../../../src/shared/kubernetes/version.ts';
import { connectionOptions } from '../../support/kubernetes/connection-options.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { within } from '../../support/until.ts';
import { FakeApiserver } from '../fake-apiserver.ts';

const directory = temporaryDirectory('kubeconfig');
const path = (name: string) => join(directory, name);

function written(text: string): string {
  writeFileSync(path('kubeconfig'), text);
  return path('kubeconfig');
}

function config(cluster: string, user: string): string {
  return written(`
clusters: [{name: c, cluster: ${cluster}}]
users: [{name: u, user: ${user}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`);
}

test.each(['80', '8080', '8001', '443'])('case 24: in a pod port %s is spoken to with TLS', async (port) => {
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port };
  const { server } = await loadKubeConfig('', { environment, directory });
  expect(server.protocol).toBe('https:');
  expect(server.port || '443').toBe(port);
});

test('case 24: the first bytes to the service of a pod are those of TLS, with a service account whose files are links', async () => {
  const first: Buffer[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', (bytes: Buffer) => {
      first.push(bytes);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? String(address.port) : '';
  const account = path('account');
  mkdirSync(join(account, '..data'), { recursive: true });
  for (const file of ['token', 'ca.crt']) symlinkSync(join('..data', file), join(account, file));
  writeFileSync(join(account, '..data', 'token'), 'eyJhbGciOi.FAKE.TOKEN');
  const { rootCertificates } = await import('node:tls');
  writeFileSync(join(account, '..data', 'ca.crt'), rootCertificates[0] ?? '');
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: port };
  const credentials = await loadKubeConfig('', { environment, directory: account });
  expect((await credentials.access()).headers).toEqual({ authorization: 'Bearer eyJhbGciOi.FAKE.TOKEN' });
  const { KubeConnection } = await import('../../../src/shared/kubernetes/connection/connection.ts');
  const connection = new KubeConnection(connectionOptions(), [credentials.server], credentials);
  await expect(readVersion(connection, AbortSignal.timeout(10_000))).rejects.toThrow(/./);
  await connection.close();
  server.close();
  expect(first[0]?.subarray(0, 2)).toEqual(Buffer.from([0x16, 3]));
  expect(Buffer.concat(first).toString('latin1')).not.toContain('FAKE');
});

test('the address of a pod may be of IPv6', async () => {
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '8080' };
  expect((await loadKubeConfig('', { environment, directory })).server.href).toBe('https://[fd00::1]:8080/');
});

test('words, marks and bytes of YAML are read as by client-go', async () => {
  const text = `\ufeff---\r\nclusters:\r\n- name: 1\r\n  cluster: {server: "HTTPS://K8s.Example:6443", insecure-skip-tls-verify: yes}\r\ncontexts: [{name: on, context: {cluster: 1, user: u}}]\r\ncurrent-context: on\r\n---\r\nother: [\r\n`;
  const credentials = await loadKubeConfig(written(text));
  expect(credentials.server.href).toBe('https://k8s.example:6443/');
  expect((await credentials.access()).tls.skipVerify).toBe(true);
});

test('a server without a scheme is one with TLS', async () => {
  expect((await loadKubeConfig(config('{server: "10.0.0.1:6443"}', '{token: t}'))).server.href).toBe('https://10.0.0.1:6443/');
  await expect(loadKubeConfig(config('{server: "ftp://x"}', '{}'))).rejects.toThrow(KubeConfigError);
});

test('a context that is named takes the place of the current one', async () => {
  const clusters = 'clusters: [{name: a, cluster: {server: "https://a"}}, {name: b, cluster: {server: "https://b"}}]';
  const contexts = 'contexts: [{name: a, context: {cluster: a}}, {name: b, context: {cluster: b}}]';
  const file = written(`${clusters}\n${contexts}\ncurrent-context: a\n`);
  expect((await loadKubeConfig(file)).server.host).toBe('a');
  expect((await loadKubeConfig(file, undefined, 'b')).server.host).toBe('b');
  await expect(loadKubeConfig(file, undefined, 'c')).rejects.toThrow(/: context "c" refers to no cluster$/);
});

test('embedded data takes precedence over files, a token file over a token, and impersonation is sent', async () => {
  writeFileSync(path('token'), 'from-file\n');
  const data = Buffer.from('pem-of-data').toString('base64');
  const user = `{client-certificate: none, client-certificate-data: ${data}, token: t, tokenFile: token, as: me, as-groups: [a, b]}`;
  const { headers, tls } = await (await loadKubeConfig(config(`{server: "https://k"}`, user))).access();
  expect(tls.cert).toBe('pem-of-data');
  expect(headers).toEqual({ authorization: 'Bearer from-file', 'impersonate-user': 'me', 'impersonate-group': ['a', 'b'] });
});

test('a FIFO in the place of a file is named and holds nothing up', async () => {
  execFileSync('mkfifo', [path('fifo')]);
  for (const user of ['{tokenFile: fifo}', '{client-certificate: fifo}']) {
    const credentials = await loadKubeConfig(config('{server: "https://k"}', user));
    const access = credentials.access().catch((thrown: unknown) => thrown);
    const error = await within('the file is refused', access, 5_000);
    expect(error).toBeInstanceOf(KubeCredentialsError);
    expect(String(error)).toContain('fifo: is not a regular file');
  }
  await expect(within('the kubeconfig is refused', loadKubeConfig(path('fifo')), 5_000)).rejects.toThrow(/not a regular file/);
});

test('a value of a secret is in no message', async () => {
  for (const user of [
    '{token: [hunter2]}',
    '{token: hunter2, client-key-data: [x]}',
    '{password: {a: hunter2}}',
    '{token: "hunter2}',
  ]) {
    const error: unknown = await loadKubeConfig(config('{server: "https://k"}', user)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubeConfigError);
    expect(String(error)).not.toContain('hunter2');
  }
});

test('a server without TLS is sent credentials on this machine alone', async () => {
  await using api = await FakeApiserver.start();
  const { log, lines } = recordingLogger();
  const { port } = new URL(api.url);
  const ask = async (server: string) => {
    const connection = await openConnection(
      connectionOptions({ kubeconfigPath: config(`{server: "${server}"}`, '{token: t}'), log }),
    );
    await readVersion(connection, AbortSignal.timeout(10_000));
    await readVersion(connection, AbortSignal.timeout(10_000));
    await connection.close();
    return api.requests.at(-1)?.headers.authorization;
  };
  expect(await ask(`http://127.0.0.1:${port}`)).toBe('Bearer t');
  expect(lines).toEqual([]);
  expect(await ask(`http://0.0.0.0:${port}`)).toBeUndefined();
  expect(lines.map(({ msg }) => msg)).toEqual(['credentials are not sent to a Kubernetes API server over http; use https']);
});
