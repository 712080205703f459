import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { etcdForTest, proxyForTest } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { enableUsers } from '../../support/etcd/etcd-users.ts';
import {
  type Authority,
  CertificateDirectory,
  type CertificateFiles,
  canMakeCertificates,
} from '../../support/tls/certificates.ts';
import { aliasLines, blockOf, clusterFile, comparable, type Files, reportOn } from './mesh-directory.ts';
import { intermediateAuthority } from './odd-certificates.ts';

const HOST = 'berlin.mesh.test';
const SERVER = { name: 'etcd', alternatives: [`DNS:${HOST}`, 'DNS:localhost', 'IP:127.0.0.1'] };
const skipped = !canMakeCertificates() || etcdVersions().length === 0;

describe.skipIf(skipped)('of an etcd with TLS (needs etcd, and the openssl command, version 3)', () => {
  const directory = new CertificateDirectory();
  let authority: Authority;
  let stranger: Authority;
  let server: CertificateFiles;
  let client: Files;
  let etcd: EtcdProcess;

  beforeAll(async () => {
    authority = directory.authority('mesh');
    stranger = directory.authority('stranger');
    server = authority.issue(SERVER);
    client = { caFile: authority.caFile, ...authority.issue({ name: 'remote' }) };
    etcd = await startEtcd({ tls: { ...server, clientCaFile: authority.caFile } });
  });
  afterAll(() => etcd.stop());

  const berlin = (files: Files = client, port = etcd.port) =>
    clusterFile([`https://${HOST}:${port}`], files, aliasLines(HOST, '127.0.0.1'));

  test('every step of a working connection is reported in the words of the original', async () => {
    const report = await reportOn({ berlin: berlin() });
    expect(report.documented).toMatch(/^Found 1 cluster configurations\n\nCluster "berlin":\n/);
    expect(comparable(blockOf(report, 'berlin'))).toBe(
      `Cluster "berlin":
📄 Configuration path: <dir>/berlin

🔌 Endpoints:
   - https://berlin.mesh.test:<port>
     ✅ Hostname resolved to: 127.0.0.1
     ✅ TCP connection successfully established to 127.0.0.1:<port>
     ✅ TLS connection successfully established to 127.0.0.1:<port>
     ℹ️  Negotiated TLS version: TLS 1.3, ciphersuite TLS_AES_128_GCM_SHA256
     ℹ️  TLS certificates presented by the server:
        - Serial number:       <hex>
          Subject:             CN=etcd
          Subject alternative names:
          - berlin.mesh.test
          - localhost
          - 127.0.0.1
          Subject key ID:      <hex>
          Issuer:              CN=mesh
          Authority key ID:    <hex>
          Validity:
            Not before:  <time>
            Not after:   <time>
     ℹ️  Etcd server version: <version>

🔑 Digital certificates:
   ✅ TLS Root CA certificates:
      - Serial number:       <hex>
        Subject:             CN=mesh
        Subject key ID:      <hex>
        Issuer:              CN=mesh
        Authority key ID:    <hex>
        Validity:
          Not before:  <time>
          Not after:   <time>
   ✅ TLS client certificates:
      - Serial number:       <hex>
        Subject:             CN=remote
        Subject key ID:      <hex>
        Issuer:              CN=mesh
        Authority key ID:    <hex>
        Validity:
          Not before:  <time>
          Not after:   <time>

⚙️ Etcd client:
   ✅ Etcd connection successfully established
   ℹ️  Etcd cluster ID: <id>
`,
    );
  });

  test('certificates that are about to end are warned of', async () => {
    const { verdicts } = await reportOn({ berlin: berlin() });
    expect(verdicts).toContainEqual(
      expect.stringMatching(/^berlin: the client certificate CN=remote expires on \d{4}-\d\d-\d\d; renew it soon$/),
    );
    expect(verdicts).toContainEqual(expect.stringMatching(/^berlin: https:.*: the certificate of the server expires on/));
  });

  test('a server of another CA is reported, with its CA and the trusted one', async () => {
    const report = await reportOn({ berlin: berlin({ ...client, caFile: stranger.caFile }) });
    const block = blockOf(report, 'berlin');
    expect(block).toMatch(
      /❌ Cannot establish TLS connection to berlin.*: tls: failed to verify certificate: x509: certificate signed by unknown authority\n/,
    );
    expect(block).toContain(
      '\n          ⚠️ Cannot verify certificate with the configured root CAs: x509: certificate signed by unknown authority\n',
    );
    expect(block).toContain('   ❌ Failed to establish connection: context deadline exceeded\n');
    expect(report.verdicts[0]).toMatch(
      /^berlin: https:.*: the certificate of the server was issued by CN=mesh \(key [0-9a-f:]+\), trusted is CN=stranger \(key [0-9a-f:]+\); SHA-256 of the certificate [0-9A-F:]{95}, of the trusted [0-9A-F:]{95}; add the CA/,
    );
  });

  test('a name that the certificate of the server lacks shows at the last step, and the verdict lists those it has', async () => {
    const other = 'paris.mesh.test';
    const file = clusterFile([`https://${other}:${etcd.port}`], client, aliasLines(other, '127.0.0.1'));
    const report = await reportOn({ paris: file });
    expect(blockOf(report, 'paris')).toContain('✅ TLS connection successfully established');
    expect(blockOf(report, 'paris')).toContain('❌ Failed to establish connection: context deadline exceeded');
    expect(report.verdicts[0]).toMatch(
      /paris\.mesh\.test is not in the certificate of the server, which is for berlin\.mesh\.test, localhost, 127\.0\.0\.1; use one of these/,
    );
  });

  test('an expired server certificate is reported with its time', async () => {
    const late = await etcdForTest({ tls: authority.issueExpired(SERVER) });
    const report = await reportOn({ berlin: berlin(client, late.port) });
    expect(blockOf(report, 'berlin')).toMatch(
      /x509: certificate has expired or is not yet valid: current time \S+Z is after \S+Z\n/,
    );
    expect(report.verdicts[0]).toMatch(
      /the certificate CN=etcd of the server has expired: it is valid from .* to .* UTC; renew it, or check the clocks$/,
    );
  });

  test('a client certificate that the server rejects is reported with its name and its issuer', async () => {
    const report = await reportOn({ berlin: berlin({ ...client, ...stranger.issue({ name: 'remote-west' }) }) });
    const block = blockOf(report, 'berlin');
    expect(block).toMatch(
      /❌ TLS client authentication failed: remote error: tls: (unknown certificate authority|bad certificate|certificate required)\n/,
    );
    expect(report.verdicts[0]).toMatch(
      /^berlin: https:.*: the server rejects the client certificate CN=remote-west, issued by CN=stranger \(.*\); it was not issued by the configured CA either; use a certificate/,
    );
    expect(report.verdicts.filter((verdict) => verdict.includes('etcd unavailable'))).toEqual([]);
  });

  test('a client certificate that is missing is asked for', async () => {
    const report = await reportOn({ berlin: berlin({ caFile: authority.caFile }) });
    expect(blockOf(report, 'berlin')).toContain('   ⚠️ No available TLS client certificates\n');
    expect(report.verdicts[0]).toContain(
      'the server requires a client certificate and the file has none; add cert-file and key-file',
    );
  });

  test('an authority that is not given is that of the system', async () => {
    const { certFile, keyFile } = authority.issue({ name: 'remote' });
    const report = await reportOn({ berlin: berlin({ certFile, keyFile }) });
    expect(blockOf(report, 'berlin')).toContain('🔑 Digital certificates:\n   ⚠️ Root CA unset: using system pool\n');
    expect(report.verdicts[0]).toContain("trusted is the system's CAs; add the CA");
  });

  test('a key that belongs to another certificate, and a file that is not there, end the report below the path', async () => {
    const { keyFile } = authority.issue({ name: 'other' });
    const gone = `${keyFile}.gone`;
    const report = await reportOn({
      berlin: berlin({ ...client, keyFile }),
      oslo: berlin({ ...client, keyFile: gone }),
      rome: berlin({ ...client, caFile: gone }),
    });
    expect(blockOf(report, 'berlin')).toBe(
      'Cluster "berlin":\n📄 Configuration path: <dir>/berlin\n❌ Cannot parse etcd configuration: tls: private key does not match public key\n',
    );
    expect(blockOf(report, 'oslo')).toContain(`❌ Cannot parse etcd configuration: open ${gone}: no such file or directory\n`);
    expect(report.verdicts).toEqual([
      expect.stringContaining(
        `private key does not match public key; write the key that belongs to the certificate into ${keyFile}`,
      ),
      expect.stringContaining('mount the file of key-file'),
      expect.stringContaining('mount the file of trusted-ca-file'),
    ]);
  });

  test('a proxy that accepts and never responds is detected by timeout', async () => {
    const proxy = await proxyForTest(etcd.port);
    proxy.blackHole();
    const report = await reportOn({ berlin: berlin(client, proxy.port) }, { timeoutMs: 300 });
    expect(blockOf(report, 'berlin')).toMatch(
      /✅ TCP connection .*\n.*❌ Cannot establish TLS connection to \S+: context deadline exceeded\n/,
    );
    expect(report.verdicts[0]).toContain(
      'the server accepts connections but sends nothing; check the proxies and load balancers in between',
    );
  });

  test('a plain text server behind https, and a TLS server behind http, are reported', async () => {
    const plain = createServer((_, answer) => answer.end('hello'));
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void plain.close());
    const report = await reportOn({
      berlin: berlin(client, (plain.address() as AddressInfo).port),
      oslo: clusterFile([`http://127.0.0.1:${etcd.port}`]),
    });
    expect(blockOf(report, 'berlin')).toContain('tls: first record does not look like a TLS handshake');
    expect(report.verdicts[0]).toContain('the server does not use TLS; check the port, or use http');
    expect(blockOf(report, 'oslo')).not.toContain('TLS connection');
    const oslo = /^oslo: http:.*: the server requires TLS, and the endpoint uses http; use https$/;
    expect(report.verdicts).toContainEqual(expect.stringMatching(oslo));
  });

  test('a TLS server that is not etcd is reported', async () => {
    const read = (file: string) => readFileSync(file, 'utf8');
    const web = createSecureServer({ cert: read(server.certFile), key: read(server.keyFile) }, (_, answer) =>
      answer.end('hello'),
    );
    await once(web.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void web.close());
    const report = await reportOn({ berlin: berlin(client, (web.address() as AddressInfo).port) });
    expect(blockOf(report, 'berlin')).toContain('     ⚠️ Could not retrieve etcd server version\n');
    expect(report.verdicts[0]).toContain('the server is not etcd; check the address and the port');
  });

  test('a certificate of an intermediate authority is shown with it, and chains to the root', async () => {
    const intermediate = intermediateAuthority(directory, authority);
    const issued = intermediate.issue({ name: 'remote-deep' });
    const report = await reportOn({ berlin: berlin({ ...client, ...issued }) });
    const block = blockOf(report, 'berlin');
    expect(block).toMatch(
      /Subject: {13}CN=remote-deep\n[\s\S]*Intermediates:\n +- Serial number: .*\n +Subject: {13}CN=branch\n/,
    );
    expect(block).not.toContain('Cannot verify certificate');
    expect(block).toContain('✅ Etcd connection successfully established');
  });

  test('a user without permission is reported by name, and so is an unknown one', async () => {
    const closed = await etcdForTest({ tls: { ...server, clientCaFile: authority.caFile } });
    const administrator = await enableUsers(closed, authority, authority.issue({ name: 'root' }), ['remote', 'heart']);
    onTestFinished(() => administrator.close());
    await administrator.allowReading('heart', 'cilium/.heartbeat');
    const as = (name: string) => berlin({ ...client, ...authority.issue({ name }) }, closed.port);
    const report = await reportOn({ berlin: as('remote'), oslo: as('nobody'), rome: as('heart') });
    expect(blockOf(report, 'berlin')).toMatch(/❌ Failed to retrieve key from etcd: .*permission/);
    expect(report.verdicts).toContainEqual(
      expect.stringContaining(
        'berlin: etcd does not permit the user remote (the common name of the client certificate) to read cilium/.heartbeat; grant the user a role',
      ),
    );
    expect(report.verdicts).toContainEqual(expect.stringContaining('oslo: etcd does not permit the user nobody'));
    expect(blockOf(report, 'rome')).toContain('✅ Etcd connection successfully established');
    expect(report.verdicts).toContainEqual(
      expect.stringContaining(
        'rome: etcd does not permit the user heart reading cilium/cluster-config/rome, cilium/synced/rome/, cilium/state/nodes/v1/rome/; check',
      ),
    );
  });
});
