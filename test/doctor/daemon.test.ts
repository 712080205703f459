import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Health, type Notice } from '../../src/shared/http/health.ts';
import { createRegistry, type Registry } from '../../src/shared/http/metrics.ts';
import { VERSION } from '../../src/shared/version.ts';
import { callEtcd } from '../support/etcd/etcd-gateway.ts';
import { etcdVersions, startEtcd } from '../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../support/kvstoremesh/kvstoremesh-run.ts';
import { FULL, type Remote, type Store, startFullRemote, startLocal } from '../support/kvstoremesh/mesh-fixture.ts';
import { freePort } from '../support/network/free-port.ts';
import { type LogLine, recordingLogger } from '../support/recording-logger.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { until } from '../support/until.ts';
import { Pki } from './mesh.ts';

test('a notice has a line and a series, and does not change the status', async () => {
  const registry = createRegistry('t_', VERSION);
  const health = new Health(registry);
  const notices: Notice[] = [];
  health.addNotices(() => notices);
  expect([health.problems(), health.isWell]).toEqual([[], true]);
  notices.push({ check: 'dns', text: 'oslo: no address' }, { check: 'dns', text: 'rome: no address' });
  expect([health.problems(), health.isWell]).toEqual([['dns: oslo: no address', 'dns: rome: no address'], true]);
  expect(await registry.metrics()).toContain('t_health_problems{check="dns"} 2');
  health.addCheck('etcd', () => 'away');
  expect(health.isWell).toBe(false);
});

const skipped = !canMakeCertificates() || etcdVersions().length === 0;
/** The status of older ones does not have the quota. */
const newest = etcdVersions().at(-1);
const hasQuota = Number(newest?.minor ?? 0) >= 3.6;
const MIB = 1024 * 1024;

interface Problem {
  /** Of the cluster, which is the name of the file too. */
  readonly name: string;
  readonly check: string;
  readonly says: RegExp;
  file(mesh: DaemonMesh): string | Promise<string>;
}

const REMOTE_PROBLEMS: readonly Problem[] = [
  {
    name: 'refused',
    check: 'tcp-refused',
    says: /ECONNREFUSED .*; check the port.*; run: in cluster refused: kubectl/,
    file: async () => fileOf(`http://127.0.0.1:${await freePort()}`),
  },
  { name: 'unnamed', check: 'dns', says: /unnamed\.invalid/, file: () => fileOf('http://unnamed.invalid:2379') },
  { name: 'unreadable', check: 'config-file', says: /unreadable:2: /, file: () => 'endpoints:\n[: broken\n' },
  {
    name: 'plain',
    check: 'tls-handshake',
    says: /TLS/,
    file: ({ berlin, pki }) => fileOf(`https://127.0.0.1:${berlin.process.port}`, pki.authority.caFile),
  },
  {
    name: 'stranger',
    check: 'tls-ca',
    says: /not trusted/,
    file: ({ tlsPort, pki }) => fileOf(`https://127.0.0.1:${tlsPort}`, pki.stranger.caFile),
  },
  {
    name: 'misnamed',
    check: 'tls-name',
    says: /is for .*, not for other\.test/,
    file: ({ tlsPort, pki }) =>
      fileOf(
        `https://other.test:${tlsPort}`,
        pki.authority.caFile,
        'cilium-host-aliases: [{hostname: other.test, ips: [127.0.0.1]}]',
      ),
  },
  {
    name: 'without-key',
    check: 'certificate-file',
    says: /trusted-ca-file/,
    file: ({ tlsPort }) => fileOf(`https://127.0.0.1:${tlsPort}`, '/nowhere/ca.crt'),
  },
  {
    name: 'wrong-name',
    check: 'cluster-config',
    says: /no cilium\/cluster-config\/wrong-name; check that the file is named after the cluster/,
    file: ({ berlin }) => fileOf(berlin.process.endpoint),
  },
];

function fileOf(endpoint: string, caFile?: string, more = ''): string {
  return [`endpoints: ["${endpoint}"]`, ...(caFile === undefined ? [] : [`trusted-ca-file: ${caFile}`]), more, ''].join('\n');
}

interface DaemonMesh {
  readonly pki: Pki;
  readonly local: Store;
  readonly berlin: Remote;
  /** Of an etcd with TLS. */
  readonly tlsPort: number;
}

type Line = LogLine & { readonly check?: string; readonly subject?: string };

describe.skipIf(skipped)('kvstoremesh names (needs etcd, and the openssl command, version 3)', () => {
  let mesh: DaemonMesh;
  let daemon: KvstoremeshRun;
  let registry: Registry;
  const directory = new ConfigDirectory();
  const { log, lines } = recordingLogger();
  const stops: (() => unknown)[] = [];

  beforeAll(async () => {
    const pki = new Pki();
    const args = [`--quota-backend-bytes=${32 * MIB}`];
    const local = await startLocal({ args, ...(newest === undefined ? {} : { version: newest.version }) });
    const berlin = await startFullRemote('berlin', 7);
    const secure = await startEtcd({ tls: pki.server });
    mesh = { pki, local, berlin, tlsPort: secure.port };
    directory.add(berlin);
    registry = createRegistry('cilium_kvstoremesh_', VERSION);
    daemon = await KvstoremeshRun.start(local, directory, { log, metrics: registry });
    stops.push(
      () => secure.stop(),
      () => berlin[Symbol.asyncDispose](),
      () => local[Symbol.asyncDispose](),
      () => daemon.stop(),
    );
    await daemon.ready();
  });
  afterAll(async () => {
    for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) await stop();
  });

  const health = () => daemon.get('health', '/healthz');
  const lineOf = async (check: string, subject: string) =>
    (await health()).body.split('\n').find((line) => line.startsWith(`${check}: ${subject}: `));
  const logged = (check: string, subject?: string) =>
    (lines as readonly Line[]).filter((line) => line.check === check && (subject === undefined || line.subject === subject));
  const begins = async (check: string, subject: string) =>
    until(`${check} of ${subject} is named`, () => lineOf(check, subject), { status: () => lines.slice(-5) });
  const ends = async (check: string, subject: string) =>
    until(`${check} of ${subject} is over`, async () => (await lineOf(check, subject)) === undefined);

  test('nothing while all is well', async () => {
    expect(await health()).toEqual({ status: 200, body: 'ok' });
    expect(lines.filter(({ msg }) => msg === 'problem found')).toEqual([]);
  });

  test.each(REMOTE_PROBLEMS)('$check of a remote, until it is over', async ({ name, check, says, file }) => {
    directory.write(name, await file(mesh));
    expect(await begins(check, name)).toMatch(says);
    expect(await registry.metrics()).toContain(`cilium_kvstoremesh_health_problems{check="${check}"} 1`);
    expect(logged(check).map(({ level }) => level)).toEqual(['warn']);
    expect([(await health()).status, await daemon.readyz(), (await daemon.get('health', '/livez')).status]).toEqual([
      200,
      '200 Ready',
      200,
    ]);
    directory.remove(name);
    await ends(check, name);
    // The cause may have changed in the last moment: that line ends with the file too.
    await until('nothing is left', async () => (await health()).body === 'ok');
  });

  test('a remote that ends while it is mirrored, at once', async () => {
    await mesh.berlin.proxy.disconnect();
    await begins('tcp-refused', 'berlin');
    await mesh.berlin.proxy.heal();
    await ends('tcp-refused', 'berlin');
  });

  test('another maximum of clusters, with one log line at its beginning and one at its end', async () => {
    await mesh.berlin.configure(7, { ...FULL, maxConnectedClusters: 511 });
    expect(await begins('max-clusters', 'berlin')).toMatch(/is 511 in the remote and 255 in this cluster; set the same value/);
    await until('it is logged', () => logged('max-clusters').length > 0);
    await mesh.berlin.configure(7);
    await ends('max-clusters', 'berlin');
    await until('its end is logged', () => logged('max-clusters').length > 1);
    expect(logged('max-clusters', 'berlin').map(({ msg }) => msg)).toEqual(['problem found', 'problem solved']);
  });

  test('an ID that is in use, as a rejected remote and in the log', async () => {
    await using twin = await startFullRemote('twin', 200);
    directory.add(twin);
    await until('it is named', async () => (await health()).body.includes('remote clusters: twin is refused: cluster ID 200'));
    expect(logged('cluster-id').map(({ msg }) => msg)).toEqual(['remote cluster rejected; not mirroring it']);
    directory.remove('twin');
    await until('it is gone', async () => (await health()).body === 'ok');
  });

  test('an alarm of the local etcd', async () => {
    const call = (body: object) => callEtcd(mesh.local.process.endpoint, 'maintenance/alarm', body);
    const { header } = (await callEtcd(mesh.local.process.endpoint, 'maintenance/status', {})) as {
      header: { member_id: string };
    };
    const alarm = { memberID: header.member_id, alarm: 'CORRUPT' };
    await call({ ...alarm, action: 'ACTIVATE' });
    expect(await begins('etcd-alarm', 'local etcd')).toMatch(/alarm CORRUPT/);
    await call({ ...alarm, action: 'DEACTIVATE' });
    await ends('etcd-alarm', 'local etcd');
    await until('its end is logged', () => logged('etcd-alarm').length > 1);
    expect(logged('etcd-alarm').map(({ msg }) => msg)).toEqual(['problem found', 'problem solved']);
  });

  test.skipIf(!hasQuota)('a database near its quota (needs etcd 3.6)', async () => {
    // Pages with larger values are rewritten when a neighbour is added: the database could have more than its quota.
    for (let index = 0; index < 4 * 27; index += 1) await mesh.local.put({ [`unrelated/${index}`]: Buffer.alloc(MIB / 4, 'x') });
    expect(await begins('etcd-quota', 'local etcd')).toMatch(/\d\d % of the quota: .*; raise --quota-backend-bytes/);
    await until('it is logged', () => logged('etcd-quota').length > 0);
    expect(await registry.metrics()).toContain('cilium_kvstoremesh_health_problems{check="etcd-quota"} 1');
  });
});

describe.skipIf(skipped)('a certificate (needs etcd, and the openssl command, version 3)', () => {
  test('that expires soon is logged once', async () => {
    const { authority, server } = new Pki();
    await using etcd = await startEtcd({ tls: { ...server, clientCaFile: authority.caFile } });
    const directory = new ConfigDirectory();
    const { certFile, keyFile } = authority.issue({ name: 'admin', days: 2 });
    directory.write(
      '..local',
      `endpoints: ["${etcd.endpoint}"]\ntrusted-ca-file: ${authority.caFile}\ncert-file: ${certFile}\nkey-file: ${keyFile}\n`,
    );
    const { log, lines } = recordingLogger();
    await using daemon = await KvstoremeshRun.start(`etcd.config=${directory.fileOf('..local')}`, directory, { log });
    await daemon.ready();
    await until('it is logged', () => lines.some(({ msg }) => msg === 'problem found'));
    expect((await daemon.get('health', '/healthz')).body).toMatch(/^certificates: .*tls\.crt ends at /m);
    expect(lines.filter(({ msg }) => msg.startsWith('problem '))).toMatchObject([
      { check: 'certificate-expires', subject: certFile, msg: 'problem found', level: 'warn' },
    ]);
  });
});
