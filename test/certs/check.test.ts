import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkText } from '../../src/certs/check.ts';
import { providerMissing } from '../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../support/processes/child.ts';
import { ADMIN, type Cluster, certsFixture, DAY_MS, foreign, HELM, LOCAL, REMOTE, SERVER } from './certs-fixture.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`certs check${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const certs = certsFixture();
  let cluster: Cluster;
  const fresh = async (...argv: readonly string[]) => {
    cluster = await certs.generated(...argv);
    return cluster;
  };

  test.each([
    ['an empty certificate', { 'tls.crt': '' }, 'certificate-missing'],
    ['a certificate that is none', { 'tls.crt': 'x' }, 'certificate-malformed'],
    ['an empty key', { 'tls.key': '' }, 'key-missing'],
    ['a key that is none', { 'tls.key': 'x' }, 'key-malformed'],
    ['the key of another certificate', { 'tls.key': foreign()['tls.key'] ?? '' }, 'key-mismatch'],
    ['a certificate of another CA', foreign(), 'other-issuer'],
    ['CAs that are none', { 'ca.crt': 'x' }, 'ca-malformed'],
    ['no CA', { 'ca.crt': '' }, 'ca-missing'],
    ['another CA beside it', { 'ca.crt': foreign()['ca.crt'] ?? '' }, 'not-signed'],
  ])('%s in a Secret is told by check, and put in order by generate', async (_, data, code) => {
    await fresh();
    await cluster.spoil(ADMIN, data);
    const report = await cluster.check();
    const spoilt = report.secrets.find(({ secret }) => secret.endsWith(ADMIN));
    expect(spoilt?.findings.map((finding) => finding.code)).toContain(code);
    expect(checkText(report)).toMatch(new RegExp(`${ADMIN} +(error|warning) .*; run certs generate\n`));
    await cluster.generate();
    expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
  });

  test('what a Secret trusts and another one does not is told of the one that lacks it', async () => {
    await fresh();
    await cluster.spoil(SERVER, { 'ca.crt': (await cluster.value(SERVER, 'ca.crt')) + (foreign()['ca.crt'] ?? '') });
    const { secrets, verdict } = await cluster.check();
    expect(verdict).toBe('warning');
    expect(secrets.map(({ findings }) => findings.map(({ code }) => code))).toEqual([
      [],
      [],
      ['ca-differs'],
      ['ca-differs'],
      ['ca-differs'],
    ]);
  });

  test('a certificate of Helm’s making is sound, and its manager is told where it is not', async () => {
    await fresh();
    await cluster.patch(SERVER, { metadata: HELM });
    expect(await cluster.check()).toMatchObject({ verdict: 'ok' });
    cluster.laterMs = 300 * DAY_MS;
    const report = await cluster.check();
    expect(report.secrets[1]?.managedBy).toBe('Helm');
    expect(checkText(report)).toMatch(/server-cert +warning .*\d+ days: less than a third of its validity; renew it with Helm/);
  });

  test('mounted files are judged without Kubernetes, under the names that the chart mounts them by', async () => {
    await fresh();
    const { directory } = await cluster.mount(SERVER);
    const argv = (...more: string[]) => ['--k8s-kubeconfig-path=/nowhere', `--directory=server=${directory}`, ...more];
    expect(await cluster.check(...argv())).toMatchObject({ verdict: 'ok', secrets: [{ secret: directory }] });
    const client = await cluster.mount(REMOTE);
    for (const [from, to] of [
      ['tls.crt', 'common-etcd-client.crt'],
      ['tls.key', 'common-etcd-client.key'],
      ['ca.crt', 'common-etcd-client-ca.crt'],
    ] as const)
      execFileSync('mv', [join(client.directory, from), join(client.directory, to)]);
    expect(await cluster.check(...argv(`--directory=remote=${client.directory}`))).toMatchObject({
      verdict: 'ok',
      secrets: [{}, {}],
    });
    writeFileSync(join(directory, 'tls.key'), '');
    const report = await cluster.check(...argv('--cluster-name=west'));
    expect(report.secrets[0]?.findings.map(({ code }) => code)).toEqual(['key-missing']);
    await expect(cluster.check('--directory=etcd=/x')).rejects.toThrow(/"etcd" is not known; allowed: server, admin/);
  });

  test('the command has a line for each Secret, JSON for programs, and a status for scripts', async () => {
    await fresh();
    const argv = [
      '--disable-warning=ExperimentalWarning',
      MAIN,
      'certs',
      'check',
      `--k8s-kubeconfig-path=${cluster.kubeconfig}`,
      '-n',
      cluster.name,
      '--cluster-name=east',
    ];
    const sound = await runChild(process.execPath, argv);
    expect(sound.stderr).toBe('');
    expect(sound.stdout.trimEnd().split('\n')).toHaveLength(5);
    expect(sound.stdout).toMatch(/admin-cert +ok +admin-east, valid until 20.*, issued by CN=Cilium CA\n/);
    expect(sound.status).toBe(0);
    await cluster.spoil(LOCAL, { 'tls.key': 'x' });
    const broken = await runChild(process.execPath, [...argv, '-o', 'json']);
    expect(broken.status).toBe(2);
    const report = JSON.parse(broken.stdout) as { verdict: string; secrets: { secret: string; findings: object[] }[] };
    expect(report.verdict).toBe('error');
    expect(report.secrets.find(({ secret }) => secret.endsWith(LOCAL))?.findings).toEqual([
      { code: 'key-malformed', severity: 'error', evidence: expect.any(String), remedy: 'run certs generate' },
    ]);
    const lost = await runChild(process.execPath, [...argv.slice(0, 4), '--k8s-kubeconfig-path=/nowhere']);
    expect([lost.status, lost.stdout]).toEqual([255, '']);
  });
});
