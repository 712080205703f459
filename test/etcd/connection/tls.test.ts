import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type EtcdConfig, parseEtcdConfig } from '../../../src/shared/etcd/config.ts';
import { Credentials } from '../../../src/shared/etcd/connection/credentials.ts';
import {
  CredentialsError,
  PermissionDeniedError,
  TlsError,
  UnauthenticatedError,
  UnavailableError,
} from '../../../src/shared/etcd/errors.ts';
import { type EtcdClient, keyOf } from '../../../src/shared/etcd/types.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { connect, listAll, soon } from '../../support/etcd/etcd-client.ts';
import { etcdForTest, proxyForTest, put, putMany, record, seen } from '../../support/etcd/etcd-fixture.ts';
import { type EtcdProcess, etcdVersions, startEtcd } from '../../support/etcd/etcd-process.ts';
import { type Administrator, enableUsers } from '../../support/etcd/etcd-users.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import {
  type Authority,
  CertificateDirectory,
  type CertificateFiles,
  canMakeCertificates,
  replaceFiles,
} from '../../support/tls/certificates.ts';
import { withMonth13 } from '../../support/tls/month-13.ts';
import { BARE, IDENTIFIED, Pki } from '../../support/tls/pki.ts';
import { until, within } from '../../support/until.ts';

const HOST = 'berlin.mesh.test';
const aliases = new Map([[HOST, ['127.0.0.1']]]);

describe.skipIf(!canMakeCertificates())('with TLS (needs the openssl command, version 3)', () => {
  const directory = new CertificateDirectory();
  let authority: Authority;
  let server: CertificateFiles;
  let root: CertificateFiles;
  let etcd: EtcdProcess;

  beforeAll(async () => {
    authority = directory.authority('mesh');
    server = authority.issue({ name: 'etcd', alternatives: [`DNS:${HOST}`, 'IP:127.0.0.1'] });
    root = authority.issue({ name: 'root' });
    etcd = await startEtcd({ tls: { ...server, clientCaFile: authority.caFile } });
  });
  afterAll(async () => {
    await etcd.stop();
  });

  const client = (config: Partial<EtcdConfig>, options: Parameters<typeof connect>[1] = {}): EtcdClient =>
    connect([], { config: { endpoints: [etcd.endpoint], caFile: authority.caFile, ...root, ...config }, ...options });

  test('client and server prove who they are', async () => {
    const mutual = client({});
    await put(mutual, 'tls/a', 'v');
    expect((await mutual.get(keyOf('tls/a'), soon()))?.value.toString()).toBe('v');
  });

  test('rule 33: a host with given addresses is reached there and verified by its name', async () => {
    const endpoints = [`https://${HOST}:${etcd.port}`];
    await put(client({ endpoints, hostAliases: aliases }), 'tls/alias');
    await expect(put(client({ endpoints }), 'tls/alias')).rejects.toThrow(UnavailableError);
    const other = 'paris.mesh.test';
    const wrong = client({ endpoints: [`https://${other}:${etcd.port}`], hostAliases: new Map([[other, ['127.0.0.1']]]) });
    await expect(put(wrong, 'tls/alias')).rejects.toThrow(TlsError);
  });

  test('case 15: the dot at the end of a host is for DNS alone, with and without given addresses', async () => {
    const text = (host: string, alias: string) =>
      `endpoints: ["HTTPS://${host}:${etcd.port}/v3"]\ncilium-host-aliases: [{hostname: ${alias}, ips: [127.0.0.1]}]`;
    for (const written of [text(`${HOST}.`, `${HOST}.`), text(`${HOST}.`, HOST), text(HOST.toUpperCase(), `${HOST}.`)]) {
      const { endpoints, hostAliases = aliases } = parseEtcdConfig(written, 'berlin');
      await put(client({ endpoints, hostAliases }), 'tls/dot');
    }
  });

  test('case 13: an intermediate authority alone is trusted, and of two authorities of one name the right one', async () => {
    const pki = new Pki();
    const file = (name: string, content: string) => {
      writeFileSync(join(pki.directory, name), content);
      return join(pki.directory, name);
    };
    const intermediate = pki.authority('Issuing', IDENTIFIED, pki.authority('Root', IDENTIFIED));
    const [old, renewed] = [pki.authority('Cilium CA', BARE), pki.authority('Cilium CA', BARE)];
    for (const [issuer, trusted] of [
      [intermediate, [intermediate]],
      [renewed, [old, renewed]],
      [old, [renewed, old]],
    ] as const) {
      const server = pki.server(issuer, BARE);
      const own = await etcdForTest({ tls: { certFile: file('tls.crt', server.cert), keyFile: file('tls.key', server.key) } });
      const caFile = file('ca.crt', trusted.map(({ cert }) => cert).join(''));
      await put(connect([], { config: { endpoints: [`https://127.0.0.1:${own.port}`], caFile } }), 'a');
    }
  });

  test('a server with a common name alone is warned of once, or refused where names are strict', async () => {
    const { certFile, keyFile } = directory.authority('legacy').issue({ name: HOST });
    const own = await etcdForTest({ tls: { certFile, keyFile } });
    // The certificate itself is an anchor, too.
    const config = { endpoints: [`https://${HOST}:${own.port}`], hostAliases: aliases, caFile: certFile };
    const { log, lines } = recordingLogger();
    const lenient = connect([], { config, log });
    await put(lenient, 'a');
    expect(lines.filter(({ msg }) => msg.includes('only in the common name'))).toHaveLength(1);
    await expect(put(connect([], { config, strictServerNames: true }), 'a')).rejects.toThrow(
      /only in (?:its|the) common name.*alternative name/,
    );
  });

  test('a FIFO in the place of a file holds nothing up', async () => {
    const fifo = join(directory.path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const files of [{ caFile: fifo }, { keyFile: fifo }]) {
      await expect(within('it is refused', put(client(files), 'a'), 5_000)).rejects.toThrow(/fifo: is not a regular file/);
    }
  });

  test('every given address of a host is tried', async () => {
    const { accepted, port } = await proxyForTest(etcd.port);
    expect(accepted).toBe(0);
    const config = { endpoints: [`https://${HOST}:${port}`], hostAliases: new Map([[HOST, ['127.0.0.3', '127.0.0.1']]]) };
    const both = client(config, { random: () => 0 });
    await until('the second address is tried', () => put(both, 'tls/both'));
  });

  test('the server name that is sent is that of the endpoint', async () => {
    const named = directory.authority('other').issue({ name: 'x', alternatives: [`DNS:${HOST}`] });
    const own = await etcdForTest({ tls: named });
    const endpoints = [`https://${HOST}:${own.port}`];
    await put(connect([], { config: { endpoints, hostAliases: aliases, skipVerify: true } }), 'a');
  });

  test('a server of another authority is refused, unless nothing is to be verified', async () => {
    const stranger = directory.authority('stranger').caFile;
    await expect(put(client({ caFile: stranger }), 'tls/a')).rejects.toThrow(TlsError);
    await expect(put(client({ caFile: undefined }), 'tls/a')).rejects.toThrow(/certificate/);
    await put(client({ caFile: stranger, skipVerify: true }), 'tls/a');
  });

  test('a client without a certificate, or with one of another authority, is refused by the server', async () => {
    await expect(put(client({ certFile: undefined, keyFile: undefined }), 'tls/a')).rejects.toMatchObject({ retriable: true });
    const stranger = directory.authority('stranger').issue({ name: 'root' });
    await expect(put(client({ ...stranger }), 'tls/a')).rejects.toMatchObject({ retriable: true });
  });

  test('fault 29: there is no way back to plain text', async () => {
    const plain = await etcdForTest();
    await expect(put(client({ endpoints: [`https://127.0.0.1:${plain.port}`] }), 'a')).rejects.toThrow(TlsError);
    await expect(put(connect(`http://127.0.0.1:${etcd.port}`), 'a')).rejects.toThrow(UnavailableError);
  });

  test('files that do not exist yet are named, and used as soon as they are there', async () => {
    const placed = directory.place(root);
    rmSync(placed.keyFile);
    const early = client(placed, { clock: hurriedClock(20) });
    const watch = record(early, 'early/', 1);
    await expect(put(early, 'early/a')).rejects.toThrow(
      new CredentialsError(
        `key-file ${placed.keyFile}: cannot be read: ENOENT: no such file or directory, open '${placed.keyFile}'`,
      ),
    );
    expect(early.state).toMatchObject({ connected: false, lastError: { code: 'ETCD_CREDENTIALS' } });
    replaceFiles(placed, root);
    await put(early, 'early/a');
    await seen(watch, 1);
  });

  test('files that have not changed for a while are compared by what the system says of them, and a change of one is found', async () => {
    const placed = directory.place(root);
    const { log } = recordingLogger();
    const credentials = new Credentials({ endpoints: [], caFile: authority.caFile, ...placed }, log);
    const before = await credentials.load();
    const nowMs = Date.now();
    vi.spyOn(Date, 'now').mockReturnValue(nowMs + 120_000);
    onTestFinished(() => void vi.restoreAllMocks());
    for (let look = 0; look < 3; look += 1) expect(await credentials.refresh()).toBe(false);
    replaceFiles(placed, authority.issue({ name: 'root' }));
    expect(await credentials.refresh()).toBe(true);
    expect(await credentials.load()).not.toBe(before);
    expect(await credentials.refresh()).toBe(false);
    rmSync(placed.keyFile);
    expect(await credentials.refresh()).toBe(false);
  });

  test('a certificate of a CA file whose end is no time has no expiry, and those of the others are known', async () => {
    const placed = directory.place(root);
    const expiries: ReadonlyMap<string, number>[] = [];
    const observer = {
      certificates: (each: ReadonlyMap<string, number>) => void expiries.push(each),
      serverCertificate: () => undefined,
    };
    const ca = readFileSync(authority.caFile, 'utf8');
    const spoilt = withMonth13(ca, 'notAfter');
    for (const [file, content] of Object.entries({ both: ca + spoilt, none: spoilt })) {
      const caFile = join(directory.path, `${file}.crt`);
      writeFileSync(caFile, content);
      await new Credentials({ endpoints: [], ...placed, caFile }, recordingLogger().log, observer).load();
    }
    const [both, none] = expiries;
    expect([...(both?.values() ?? [])].every((ms) => ms > Date.now())).toBe(true);
    expect([both?.size, none?.size]).toEqual([2, 1]);
  });

  test('rule 32: fault 28: new certificates are used for new connections, and the streams of the old one move without a loss', async () => {
    const proxy = await proxyForTest(etcd.port);
    const placed = directory.place(root);
    const { log, lines } = recordingLogger();
    const rotating = client({ endpoints: [`https://127.0.0.1:${proxy.port}`], ...placed }, { clock: hurriedClock(20), log });
    const from = await put(rotating, 'rotate/a');
    const watch = record(rotating, 'rotate/', from);
    const lease = await rotating.grantLease(60, soon());
    rotating.keepLease(lease, 60, () => expect.fail('the lease is not lost'));
    await seen(watch, 1);
    expect(proxy.accepted).toBe(1);
    replaceFiles(placed, authority.issue({ name: 'root' }));
    await putMany(rotating, 'rotate/b', 500, 5);
    await until('there is another connection, and only that', () => proxy.accepted === 2 && proxy.connections === 1);
    await putMany(rotating, 'rotate/c', 10);
    const keys = (await seen(watch, 511)).map(({ key }) => key);
    expect(keys).toEqual((await listAll(rotating, 'rotate/')).map(({ key }) => key));
    expect(lines.map(({ msg }) => msg)).toEqual(['etcd connected', 'TLS files changed; reconnecting']);
  });

  test('fault 30: half-written files and a key of another certificate change nothing, and are reported once', async () => {
    const proxy = await proxyForTest(etcd.port);
    const placed = directory.place(root);
    const { log, lines } = recordingLogger();
    const steady = client({ endpoints: [`https://127.0.0.1:${proxy.port}`], ...placed }, { clock: hurriedClock(5), log });
    await put(steady, 'steady/a');
    const errors = () => lines.filter(({ level }) => level === 'error').map(({ code }) => code);
    const other = authority.issue({ name: 'root' });
    writeFileSync(placed.keyFile, readFileSync(other.keyFile));
    await until('the mismatch is reported', () => errors().length === 1);
    writeFileSync(placed.keyFile, readFileSync(other.keyFile, 'utf8').slice(0, 100));
    await until('the half is reported', () => errors().length === 2);
    proxy.cut();
    await until('the old credentials still work', () => put(steady, 'steady/b'));
    expect(errors()).toEqual(['ETCD_CREDENTIALS', 'ETCD_CREDENTIALS']);
    expect(JSON.stringify(lines)).not.toContain('PRIVATE');
    const { accepted } = proxy;
    replaceFiles(placed, other);
    await until('the new ones are used', () => put(steady, 'steady/c').then(() => proxy.accepted > accepted));
  });
});

describe.skipIf(!canMakeCertificates()).each(etcdVersions())(
  'with users, etcd $version (needs the openssl command, version 3)',
  ({ version }) => {
    const directory = new CertificateDirectory();
    let authority: Authority;
    let etcd: EtcdProcess;
    let administrator: Administrator;
    const as = (name: string, options: Parameters<typeof connect>[1] = {}): EtcdClient =>
      connect([], { config: { endpoints: [etcd.endpoint], caFile: authority.caFile, ...authority.issue({ name }) }, ...options });

    beforeAll(async () => {
      authority = directory.authority('mesh');
      const server = authority.issue({ name: 'etcd', alternatives: ['IP:127.0.0.1', 'DNS:localhost'] });
      etcd = await startEtcd({ version, tls: { ...server, clientCaFile: authority.caFile } });
      administrator = await enableUsers(etcd, authority, authority.issue({ name: 'root' }), ['reader']);
      await administrator.allowReading('reader', 'open/');
    });
    afterAll(async () => {
      administrator.close();
      await etcd.stop();
    });

    test('who may read a prefix reads, lists and watches that, and is refused all else by name', async () => {
      const reader = as('reader');
      const from = await put(as('root'), 'open/a', 'v');
      expect((await listAll(reader, 'open/')).map(({ key }) => key)).toEqual(['open/a']);
      await seen(record(reader, 'open/', from), 1);
      await expect(put(reader, 'open/b')).rejects.toThrow(PermissionDeniedError);
      await expect(listAll(reader, 'closed/')).rejects.toThrow(PermissionDeniedError);
      await expect(listAll(reader, 'open')).rejects.toThrow(PermissionDeniedError);
      expect(reader.state.connected).toBe(true);
    });

    test('a watch without permission waits, logs it once, and starts when it is granted', async () => {
      const root = as('root');
      const { log, lines } = recordingLogger();
      const reader = as('reader', { clock: hurriedClock(20), log });
      const from = await put(root, 'later/a');
      const watch = record(reader, 'later/', from);
      await until('it is reported', () => lines.some(({ code }) => code === 'ETCD_PERMISSION_DENIED'));
      await put(root, 'later/b');
      await administrator.allowReading('reader', 'later/');
      await seen(watch, 2);
      expect(lines.filter(({ msg }) => msg.startsWith('watch')).map(({ msg }) => msg)).toEqual([
        'watch interrupted',
        'watch resumed',
      ]);
    });

    test('a name that is no user is refused by name', async () => {
      const error = await put(as('nobody'), 'open/a').catch((thrown: unknown) => thrown);
      expect(error instanceof PermissionDeniedError || error instanceof UnauthenticatedError).toBe(true);
    });
  },
);
