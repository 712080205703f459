/** Certificates that change, expire or do not fit, and configuration files that are wrong, as a running daemon meets them. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { KvstoremeshProcess } from '../../support/kvstoremesh/kvstoremesh-process.ts';
import { type Store, startFullRemote, startLocal } from '../../support/kvstoremesh/mesh-fixture.ts';
import { observe } from '../../support/kvstoremesh/oracle.ts';
import { ProjectedSecret, secretOf, startTlsRemote, tlsConfig } from '../../support/kvstoremesh/tls-remote.ts';
import { type Authority, CertificateDirectory, canMakeCertificates } from '../../support/tls/certificates.ts';
import { until } from '../../support/until.ts';

/** Files are looked at five times as often. */
const TIMES = { speed: 5 };
const prepare = (local: Store) => KvstoremeshProcess.prepare({ endpoint: local.process.endpoint, times: TIMES });

const canRun = canMakeCertificates() && etcdVersions().length > 0;

describe.skipIf(!canRun).concurrent('certificates (needs etcd and the openssl command, version 3)', () => {
  const certificates = new CertificateDirectory();
  let authority: Authority;
  const server = (by = authority) => by.issue({ name: 'etcd', alternatives: ['IP:127.0.0.1'] });

  beforeAll(() => {
    authority = certificates.authority('mesh');
  });

  test('fault 28: a client certificate that is exchanged with its Secret is used for a new connection, without a loss', async () => {
    await using local = await startLocal();
    await using berlin = await startTlsRemote('berlin', 7, server(), authority);
    await using daemon = await prepare(local);
    await using oracle = await observe(local, [berlin]);
    const secret = new ProjectedSecret(daemon.pathOf('.'));
    const files = { caFile: authority.caFile, certFile: secret.pathOf('tls.crt'), keyFile: secret.pathOf('tls.key') };
    const content = () => ({ berlin: tlsConfig(berlin, files), ...secretOf(authority.issue({ name: 'remote' })) });
    secret.project(content());
    await daemon.start();
    await daemon.until('it is mirrored', 'berlin', ({ ready }) => ready);
    await oracle.converged();

    const stop = new AbortController();
    const changing = (async () => {
      for (let round = 0; !stop.signal.aborted; round += 1) {
        await berlin.put({ [`cilium/state/nodes/v1/berlin/n-${round % 50}`]: `round ${round}` });
        await pause(2);
      }
    })();
    const { accepted } = berlin.proxy;
    secret.project(content());
    await until('the old connection is drained', () => berlin.proxy.accepted === accepted + 1 && berlin.proxy.connections === 1);
    stop.abort();
    await changing;
    await oracle.converged();
    expect(daemon.process.log).toContain('TLS files changed; reconnecting');
    expect((await daemon.status('berlin'))?.['num-failures']).toBeUndefined();
  });

  test('fault 29: a server certificate that has expired, or has another CA, is reported; nothing falls back to plain text', async () => {
    const expired = authority.issueExpired({ name: 'etcd', alternatives: ['IP:127.0.0.1'] });
    const strange = server(certificates.authority('stranger'));
    await using local = await startLocal();
    await using berlin = await startTlsRemote('berlin', 7, expired, authority);
    await using oslo = await startTlsRemote('oslo', 8, strange, authority);
    await using rome = await startTlsRemote('rome', 9, server(), authority);
    await using daemon = await prepare(local);
    await using oracle = await observe(local, [rome]);
    const files = { caFile: authority.caFile, ...authority.issue({ name: 'remote' }) };
    for (const remote of [berlin, oslo, rome]) daemon.configure(remote.name, tlsConfig(remote, files));
    await daemon.start();
    await daemon.until('berlin is told', 'berlin', ({ reason }) => reason?.match(/certificate has expired/));
    await daemon.until('oslo is told', 'oslo', ({ reason }) => reason?.match(/certificate/));
    await daemon.until('rome is mirrored', 'rome', ({ ready }) => ready);
    await oracle.converged();
    for (const name of ['berlin', 'oslo']) {
      expect((await daemon.status(name))?.connected).toBeUndefined();
      expect(await local.dump(`cilium/cluster-config/${name}`)).toEqual({});
    }
    expect(
      daemon.lines.filter(({ cluster, msg }) => cluster === 'berlin' && msg.includes('cannot connect to the remote cluster'))
        .length,
    ).toBe(1);
  });

  test('fault 30: a key that does not match, or a half-written file, leaves the old credentials in use and is reported once each', async () => {
    await using local = await startLocal();
    await using berlin = await startTlsRemote('berlin', 7, server(), authority);
    await using daemon = await prepare(local);
    await using oracle = await observe(local, [berlin]);
    const placed = certificates.place(authority.issue({ name: 'remote' }));
    daemon.configure('berlin', tlsConfig(berlin, { caFile: authority.caFile, ...placed }));
    await daemon.start();
    await daemon.until('it is mirrored', 'berlin', ({ ready }) => ready);
    const refusals = () =>
      daemon.lines.filter(({ msg }) => msg === 'cannot load the changed TLS files; keeping the previous ones');
    const other = authority.issue({ name: 'remote' });
    writeFileSync(placed.keyFile, readFileSync(other.keyFile));
    await until('the mismatch is told', () => refusals().length === 1);
    writeFileSync(placed.keyFile, readFileSync(other.keyFile, 'utf8').slice(0, 80));
    await until('the half is told', () => refusals().length === 2);
    berlin.proxy.cut();
    await berlin.fill('2');
    await oracle.converged();
    expect(refusals().length).toBe(2);
    expect(daemon.process.log).not.toContain('PRIVATE KEY');
    const { accepted } = berlin.proxy;
    writeFileSync(placed.keyFile, readFileSync(other.keyFile));
    writeFileSync(placed.certFile, readFileSync(other.certFile));
    await until('the new ones are used', () => berlin.proxy.accepted > accepted);
    await berlin.fill('3');
    await oracle.converged();
  });
});

describe.skipIf(etcdVersions().length === 0).concurrent('configuration', () => {
  test('fault 31: clusters come, change and go with their files; a file that is the same again, or a directory that is away, is nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using oslo = await startFullRemote('oslo', 8);
    await using daemon = await prepare(local);
    await using oracle = await observe(local, [berlin, oslo]);
    const secret = new ProjectedSecret(daemon.pathOf('.'));
    const content = (remote: typeof berlin, comment = '') => `endpoints: ["${remote.proxy.endpoint}"]\n${comment}`;
    secret.project({ berlin: content(berlin) });
    await daemon.start();
    await daemon.until('berlin is mirrored', 'berlin', ({ ready }) => ready);
    daemon.configure('oslo', content(oslo));
    await daemon.until('oslo is mirrored', 'oslo', ({ ready }) => ready);
    await oracle.converged();

    // The same again is found to be the same before the change that comes after it.
    const before = berlin.proxy.accepted;
    secret.project({ berlin: content(berlin) });
    daemon.configure('oslo', content(oslo, '# once more\n'));
    await daemon.untilLogged('reconnecting');
    expect(daemon.lines.filter(({ msg }) => msg === 'reconnecting').map(({ cluster }) => cluster)).toEqual(['oslo']);
    expect(berlin.proxy.accepted).toBe(before);
    for (const comment of ['# 1\n', '# 2\n']) {
      secret.project({ berlin: content(berlin, comment) });
      await until('the swap is followed', () => berlin.proxy.accepted > before);
    }
    await daemon.until('berlin is back', 'berlin', ({ ready }) => ready);

    const remotes = daemon.pathOf('.');
    rmSync(remotes, { recursive: true });
    await daemon.untilLogged('cannot read the configuration directory; keeping all clusters');
    mkdirSync(remotes);
    for (const remote of [berlin, oslo]) daemon.configure(remote.name, content(remote));
    await daemon.untilLogged('configuration directory readable again');
    await berlin.fill('2');
    await oracle.converged();
    daemon.remove('oslo');
    await until('oslo is not listed', async () => (await daemon.clusters()).length === 1);
    await until('its cluster config is gone', async () => !('cilium/cluster-config/oslo' in (await local.dump())));
    expect((await daemon.clusters()).map(({ name }) => name)).toEqual(['berlin']);
  });

  test('fault 32: invalid, huge or hostile files are reported with their position, and affect no other cluster', async () => {
    await using local = await startLocal();
    await using berlin = await startFullRemote('berlin', 7);
    await using daemon = await prepare(local);
    await using oracle = await observe(local, [berlin]);
    const { endpoint } = berlin.proxy;
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((key, i) => {
        return `${key}: &${key} [${`*${'abcdefg'[i]},`.repeat(9)}]`;
      }),
    ].join('\n');
    const wrong: Record<string, [string, RegExp]> = {
      broken: ['endpoints: ["\n  - x\n', /broken:\d+: /],
      huge: [`endpoints: ["${endpoint}"]\n# ${'x'.repeat(10_000_000)}`, /larger than 65536 bytes/],
      bomb: [`endpoints: ["${endpoint}"]\n${bomb}`, /alias/],
      many: [`endpoints: [${`"${endpoint}",`.repeat(200)}]`, /many:1: endpoints: allowed: a list of 1 to 64 URLs/],
    };
    daemon.add(berlin);
    for (const [name, [content]] of Object.entries(wrong)) daemon.configure(name, content);
    await daemon.start();
    for (const [name, [, reason]] of Object.entries(wrong)) {
      await daemon.until(`${name} is told`, name, (status) => status.reason?.match(reason));
    }
    // The first endpoint decides about TLS, as in etcd's own client; the log names what has no effect.
    daemon.configure('mixed', `endpoints:\n- ${endpoint}\n- https://127.0.0.1:1\n`);
    await daemon.until('mixed is tried', 'mixed', ({ reason }) =>
      reason?.includes('the remote has no cilium/cluster-config/mixed'),
    );
    expect(daemon.process.log).toMatch(/mixed:3: .*http and https are mixed/);
    await daemon.until('berlin is mirrored', 'berlin', ({ ready }) => ready);
    await berlin.fill('2');
    await oracle.converged();
    // Unknown keys are ignored, and a corrected file is used.
    await using oslo = await startFullRemote('oslo', 8);
    daemon.configure('oslo', `unknown-key: [1, 2]\nendpoints: ["${oslo.proxy.endpoint}"]\n`);
    await daemon.until('oslo is mirrored', 'oslo', ({ ready }) => ready);
    daemon.configure('broken', `endpoints: ["${endpoint}"]\n`);
    await daemon.until('it is tried', 'broken', ({ reason }) =>
      reason?.includes('the remote has no cilium/cluster-config/broken'),
    );
  });
});
