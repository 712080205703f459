/** Servers that are to be trusted or not, and certificates that rotate. */

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KubeUnreachableError } from '../../../src/shared/kubernetes/errors.ts';
import { readVersion } from '../../../src/shared/kubernetes/version.ts';
import { askVersion } from '../../support/kubernetes/connection-options.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { opensslMissing } from '../../support/tls/certificates.ts';
import { BARE, CertificateAuthority, IDENTIFIED, type Issued, Pki } from '../../support/tls/pki.ts';
import { until } from '../../support/until.ts';
import { FakeApiserver } from '../fake-apiserver.ts';
import { ReflectorRun, WIDGETS_PATH } from '../reflector-fixture.ts';

const missing = opensslMissing();

describe.skipIf(missing !== undefined)(`over TLS${missing === undefined ? '' : ` (skipped: ${missing})`}`, () => {
  const { signal } = new AbortController();
  /** Common names of the clients that were let in, by connection. */
  const clients: string[] = [];
  let authority: CertificateAuthority;
  let api: FakeApiserver;
  const directory = temporaryDirectory('tls');
  let url: string;

  beforeAll(async () => {
    authority = new CertificateAuthority();
    const server = createServer({
      ...authority.sign('k8s.test'),
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: false,
    });
    server.on('secureConnection', (socket: TLSSocket) => clients.push(String(socket.getPeerCertificate().subject?.CN)));
    api = await FakeApiserver.start(server);
    api.collection(WIDGETS_PATH).put('ns/a');
    url = api.url.replace('http:', 'https:');
    await writeFile(join(directory, 'ca.crt'), authority.cert);
    await present('client-1');
  });

  afterAll(() => api[Symbol.asyncDispose]());

  async function present(name: string): Promise<void> {
    const { cert, key } = authority.sign(name);
    await writeFile(join(directory, 'tls.crt'), cert);
    await writeFile(join(directory, 'tls.key'), key);
  }

  async function kubeconfig(cluster: object): Promise<string> {
    const path = join(directory, 'kubeconfig');
    const user = { 'client-certificate': 'tls.crt', 'client-key': 'tls.key' };
    await writeFile(path, kubeconfigText({ server: url, ...cluster }, user));
    return path;
  }

  const ask = async (cluster: object) => askVersion({ kubeconfigPath: await kubeconfig(cluster) });

  test('a server signed by the authority of the kubeconfig is trusted', async () => {
    expect(await ask({ 'certificate-authority': 'ca.crt' })).toBe('v1.34.0-fake');
  });

  test('a server of an unknown CA is not trusted, unless the kubeconfig disables verification', async () => {
    const before = api.requests.length;
    await expect(ask({})).rejects.toThrow(KubeUnreachableError);
    await expect(ask({})).rejects.toThrow(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/);
    expect(api.requests).toHaveLength(before);
    expect(await ask({ 'insecure-skip-tls-verify': true })).toBe('v1.34.0-fake');
  });

  test('a server of another name is trusted under the name that the kubeconfig gives', async () => {
    const trusted = { 'certificate-authority': 'ca.crt' };
    expect(await ask({ ...trusted, 'tls-server-name': 'k8s.test' })).toBe('v1.34.0-fake');
    await expect(ask({ ...trusted, 'tls-server-name': 'other.test' })).rejects.toThrow('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('a rotated client certificate is used for later requests, and the watch in progress continues', async () => {
    const kubeconfigPath = await kubeconfig({ 'certificate-authority': 'ca.crt' });
    await using run = await ReflectorRun.listed([], { connection: { kubeconfigPath } });
    await until('it watches', () => api.watchers.size === 1);
    const watches = api.watches.length;
    await present('client-2');

    await readVersion(run.connection, signal);
    expect(clients.at(-1)).toBe('client-2');
    api.collection(WIDGETS_PATH).put('ns/b');
    await run.holds(['ns/a', 'ns/b']);
    expect(api.watches).toHaveLength(watches);

    await run.stop();
    await until('every socket is closed', () => api.sockets.size === 0);
  });

  test('a half-written certificate leaves the previous one in use, and ends nothing', async () => {
    const kubeconfigPath = await kubeconfig({ 'certificate-authority': 'ca.crt' });
    await using run = await ReflectorRun.listed([], { connection: { kubeconfigPath } });
    await writeFile(join(directory, 'tls.crt'), '-----BEGIN CERTIFICATE-----\nMII');
    await until('it watches', () => api.watchers.size > 0);
    api.endWatches();
    await until('the failure is noticed', () => run.failures.length > 0, { status: () => run.status() });

    await present('client-3');
    api.collection(WIDGETS_PATH).put('ns/c');
    await until('it goes on', () => run.objects.has('ns/c'), { status: () => run.status() });
    expect(run.listings).toBe(1);
  });

  test('case 13: an intermediate authority alone is trusted, and of two authorities of one name the right one', async () => {
    const pki = new Pki();
    const intermediate = pki.authority('Issuing', IDENTIFIED, pki.authority('Root', IDENTIFIED));
    const [old, renewed] = [pki.authority('Cluster CA', BARE), pki.authority('Cluster CA', BARE)];
    const bundles: readonly (readonly [Issued, readonly Issued[]])[] = [
      [intermediate, [intermediate]],
      [renewed, [old, renewed]],
      [renewed, [renewed, old]],
    ];
    for (const [issuer, trusted] of bundles) {
      await using server = await FakeApiserver.start(createServer(pki.server(issuer, BARE)));
      const ca = Buffer.from(trusted.map(({ cert }) => cert).join('')).toString('base64');
      const cluster = { server: server.url.replace('http:', 'https:'), 'certificate-authority-data': ca };
      expect(await ask(cluster)).toBe('v1.34.0-fake');
    }
  });
});
