/** What the probe says of servers that are no etcd which is ready; those that are stand in etcd.test.ts. */
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { createServer } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { type Authority, caContentOf } from '../../src/certs/authority.ts';
import { issueAuthority, issueLeaf } from '../../src/certs/issue.ts';
import { type Probe, probe } from '../../src/certs/probe.ts';
import { freePort } from '../support/network/free-port.ts';

const VALIDITY = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };

function authority(): Authority {
  const { certificate, key } = issueAuthority({ commonName: 'Cilium CA', ...VALIDITY });
  return caContentOf({ fullName: 'a/b', data: { 'ca.crt': certificate, 'ca.key': key } }).current;
}

const CA = authority();

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that verifies clients by `CA`, and answers what it is told. */
function tlsServer(issuer: Authority, address: string, minVersion: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3'): Promise<string> {
  const names = { commonName: 'etcd', dnsNames: [], ipAddresses: [address], usage: 'server' } as const;
  const { certificate, key } = issueLeaf({ ...names, ...VALIDITY }, issuer);
  const verified = { requestCert: true, rejectUnauthorized: true, ca: CA.anchors.map(({ x509 }) => x509.toString()) };
  const versions = { minVersion, maxVersion: minVersion };
  const server = createServer({ cert: certificate, key, ALPNProtocols: ['h2'], ...verified, ...versions }, (socket) => {
    socket.on('error', () => undefined);
    socket.end('settings');
  });
  server.on('tlsClientError', () => undefined);
  return listening(server);
}

const ask = (endpoint: string, more: Partial<Probe> = {}) =>
  probe({ endpoint, shown: CA, trusted: [CA], nowMs: Date.now(), signal: AbortSignal.timeout(20_000), ...more });

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a server that trusts the CA is told from one that does not, with %s',
  async (version) => {
    const endpoint = await tlsServer(CA, '127.0.0.1', version);
    expect(await ask(endpoint)).toBeUndefined();
    expect(await ask(endpoint, { shown: authority() })).toMatch(/etcd does not trust CN=Cilium CA \(key /);
  },
);

test('a server of another CA, one of another name, and one that is not there are told as such', async () => {
  expect(await ask(await tlsServer(authority(), '127.0.0.1'))).toMatch(/the certificate of the server is not trusted/);
  expect(await ask(await tlsServer(CA, '127.0.0.2'))).toMatch(/is for 127.0.0.2, not for 127.0.0.1/);
  expect(await ask(`https://127.0.0.1:${await freePort()}`)).toMatch(/ECONNREFUSED/);
});

test('a server that never answers is not waited for once the run is stopped', async () => {
  const silent = await listening(createTcpServer((socket) => void socket.on('error', () => undefined)));
  const stop = new AbortController();
  const asked = ask(silent, { signal: stop.signal });
  stop.abort(new Error('stopped by SIGTERM'));
  await expect(asked).rejects.toThrow('stopped by SIGTERM');
});
