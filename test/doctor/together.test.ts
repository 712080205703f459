import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Finding } from '../../src/shared/diagnosis/finding.ts';
import { freePort } from '../support/network/free-port.ts';
import { startTcpProxy } from '../support/network/tcp-proxy.ts';
import { runChild } from '../support/processes/child.ts';
import { examinedMesh, skipped } from './examined-mesh.ts';
import { LOCAL_FAULTS } from './local-faults.ts';
import type { FileOptions, Mesh } from './mesh.ts';
import { CONTENT_FAULTS, type Fault, TLS_FAULTS, WAY_FAULTS } from './remote-faults.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const named = (faults: readonly Fault[], name: string) => faults.find((each) => each.name === name) as Fault;

/** The file of berlin, as a fault beside one of oslo. */
const ofBerlin = (name: string, finding: string, options: (mesh: Mesh) => FileOptions): Fault => ({
  name,
  finding,
  says: /./,
  plant: (mesh) => mesh.write('berlin', options(mesh)),
});

const STRANGE_CA = ofBerlin('a CA that is not trusted at berlin', 'tls-ca error berlin', ({ pki }) => ({
  caFile: pki.stranger.caFile,
}));
const OLD_CERTIFICATE = ofBerlin(
  'a certificate of berlin that expires soon',
  'certificate-expires warning berlin',
  ({ pki }) => ({
    files: pki.authority.issue({ name: 'remote', days: 10 }),
  }),
);

const TRIPLES: readonly (readonly [Fault, Fault, Fault])[] = [
  [STRANGE_CA, named(WAY_FAULTS, 'a port without a listener'), named(LOCAL_FAULTS, 'a user that is missing')],
  [OLD_CERTIFICATE, named(CONTENT_FAULTS, 'another maximum of clusters'), named(LOCAL_FAULTS, 'the alarm of different members')],
  [OLD_CERTIFICATE, named(TLS_FAULTS, 'a name that the certificate lacks'), named(LOCAL_FAULTS, 'a role without a permission')],
  [STRANGE_CA, named(CONTENT_FAULTS, 'an old heartbeat'), named(LOCAL_FAULTS, 'authentication that is off')],
];

describe.skipIf(skipped)('the doctor (needs etcd, and the openssl command, version 3)', () => {
  const mesh = examinedMesh();

  test.each(TRIPLES.map((faults) => ({ title: faults.map(({ name }) => name).join(', '), faults })))(
    'names three faults at once: $title',
    async ({ faults }) => {
      for (const { plant } of faults) await plant(mesh());
      expect([...(await mesh().problems())].sort()).toEqual(faults.map(({ finding }) => finding).sort());
    },
  );

  const program = (args: readonly string[]) =>
    runChild(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...args], { env: { CLUSTER_NAME: 'harbor' } });
  const flags = () => [
    `--etcd-config=${mesh().localConfig}`,
    `--etcd-metrics=${mesh().of('harbor').process.metricsEndpoint}/metrics`,
  ];

  /** Nothing listens there. */
  const withoutDaemon = async () => `--host=127.0.0.1:${await freePort()}`;

  test('says of a healthy mesh what it has seen, with status 0', async () => {
    const { status, stdout, stderr } = await program([
      'kvstoremesh-dbg',
      'doctor',
      `--clustermesh-config=${mesh().directory}`,
      ...flags(),
      await withoutDaemon(),
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(
      new RegExp(
        [
          /^Configuration\n {2}unknown {2}127\.0\.0\.1:\d+: is KVStoreMesh running .* \[import-policy-file\]\n\n/,
          /Remote clusters\n/,
          / {2}ok {7}berlin: etcd 3\.\S+ responds, ID 7, heartbeat and permissions are in order\n/,
          / {2}ok {7}oslo: .*\n\n/,
          /etcd\n {2}ok {7}local etcd: etcd 3\.\S+ has a leader\n/,
          / {2}ok {7}local etcd: \d+\.\d MiB of 2048\.0 MiB, no alarm\n/,
          / {2}ok {7}local etcd: \d+ watchers\n {2}ok {7}local etcd: users and roles are those of etcdinit\n\n1 unknown, 6 ok\n$/,
        ]
          .map(({ source }) => source)
          .join(''),
      ),
    );
  });

  test('exits with status 1 where there is an error, and prints findings for programs', async () => {
    await named(CONTENT_FAULTS, 'ID 0').plant(mesh());
    const all = ['kvstoremesh-dbg', 'doctor', `--clustermesh-config=${mesh().directory}`, ...flags(), await withoutDaemon()];
    const { status, stdout } = await program([...all, '-o', 'json', 'oslo']);
    expect(status).toBe(1);
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
    expect(findings.filter(({ verdict }) => verdict === 'error' || verdict === 'warning')).toEqual([
      {
        check: 'cluster-id',
        group: 'Remote clusters',
        verdict: 'error',
        subject: 'oslo',
        evidence: 'cilium/cluster-config/oslo has ID 0, which is reserved',
        remedy: expect.stringContaining('run: in cluster oslo: helm upgrade'),
      },
    ]);
    expect((await program([...all, '-o', 'jsonpath={.findings[*].check}'])).stdout).toContain(' cluster-id ');
  });

  test('checks the local etcd alone', async () => {
    mesh().write('oslo', { endpoints: ['https://127.0.0.1:1'] });
    const { status, stdout } = await program(['clustermesh-dbg', 'doctor', ...flags(), '-o', 'yaml']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^findings:\n {2}- check: etcd-leader\n/);
    expect(stdout).not.toContain('oslo');
  });

  test('names many remotes that are silent within its time', async () => {
    const proxy = await startTcpProxy(mesh().of('oslo').process.port);
    mesh().onHeal(() => proxy.stop());
    proxy.blackHole();
    const names = Array.from({ length: 60 }, (_, index) => `silent-${index}`);
    for (const name of names) mesh().writeFile(name, mesh().file('oslo', { endpoints: [`https://127.0.0.1:${proxy.port}`] }));
    mesh().onHeal(() => {
      for (const name of names) mesh().remove(name);
    });
    const problems = await mesh().problems({ timeoutMs: 2_000 });
    expect(problems).toHaveLength(60);
    expect(new Set(problems.map((each) => each.split(' ')[0]))).toEqual(new Set(['tls-handshake']));
  });
});
