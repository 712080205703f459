/** `doctor` and `connect --check` as commands, and clusters that can be read in part only. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { DoctorReport } from '../../../src/mesh/doctor/doctor.ts';
import type { Member } from '../../../src/mesh/doctor/facts.ts';
import { podSecurity } from '../../../src/mesh/doctor/workload/pod-security.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { runChild } from '../../support/processes/child.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type Mesh, meshFixture } from '../mesh-fixture.ts';
import { complaints, examined, makeHealthy, Planting } from './doctor-fixture.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const MAIN = join(ROOT, 'src/main.ts');
const ALONE: readonly string[] = [];

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(`the command${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();
  let mesh: Mesh;
  beforeAll(async () => {
    mesh = await meshes.installed();
    await makeHealthy(mesh);
  }, 60_000);

  const run = (...argv: readonly string[]) => runChild(process.execPath, [MAIN, ...argv, '--pods=false']);

  test('of a healthy mesh nothing is reported, and of one of its clusters neither', async () => {
    const report = await examined(mesh);
    expect(complaints(report, mesh)).toEqual([]);
    expect(report).toMatchObject({ verdict: 'ok', clusters: [{ context: 'east', name: 'east' }, { name: 'west' }] });
    expect(complaints(await examined(mesh, ALONE), mesh)).toEqual([]);
  });

  test('before clusters are connected, connect --check reports nothing of a healthy pair, and writes nothing', async () => {
    await mesh.disconnect('--destination-context=west');
    const before = await mesh.secret('east', 'cilium-kvstoremesh');
    const { status, stdout } = await run('connect', ...mesh.argv('--destination-context=west', '--check'));
    expect(await mesh.secret('east', 'cilium-kvstoremesh')).toEqual(before);
    await mesh.connect();
    expect([status, stdout]).toEqual([0, expect.stringMatching(/ok {7}east and west: not connected with each other\n/)]);
    expect(stdout).toMatch(/\n\n\d+ ok\n$/);
  });

  test('errors make the exit status 1, warnings do not; text has no color in a pipe', async () => {
    const planting = new Planting(mesh);
    await planting.config('west', { 'datapath-mode': 'netkit' });
    const warned = await run('doctor', ...mesh.argv('--destination-context=west'));
    await planting.config('west', { 'cluster-id': '1' });
    const failed = await run('doctor', ...mesh.argv('--destination-context=west', '-o=json'));
    await planting.undo();
    expect([warned.status, failed.status]).toEqual([0, 1]);
    expect(warned.stdout).toMatch(
      /\nMembers\n(.*\n)* {2}warning {2}east and west: datapath-mode: .* → set bpf\.datapathMode .* \[equal-datapath-mode\]\n/,
    );
    expect(warned.stdout).not.toContain('\u001B');
    const { findings } = JSON.parse(failed.stdout) as DoctorReport;
    expect(findings.filter(({ verdict }) => verdict === 'error')).toEqual([
      {
        check: 'unique-cluster-id',
        group: 'Members',
        verdict: 'error',
        subject: 'east and west',
        evidence: 'all have ID 1',
        remedy: expect.stringContaining('--set cluster.id='),
      },
    ]);
    expect(failed.stdout).not.toMatch(/PRIVATE|BEGIN/);
  });

  test('kubectl clustermesh doctor is the same', async () => {
    const { stdout, status } = await runChild(join(ROOT, 'bin/kubectl-clustermesh'), ['doctor', ...mesh.argv('--pods=false')]);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^Access\n/)]);
  });

  test('a context that the kubeconfig does not have is refused', async () => {
    const { status, stderr } = await run('doctor', ...mesh.argv('--destination-context=north'));
    expect([status, stderr]).toEqual([255, expect.stringMatching(/there is no context "north"; contexts: east, west/)]);
  });

  test('a cluster that does not answer is an error, and the others are checked', async () => {
    const kubeconfig = changedKubeconfig(mesh, (west) => ({ ...west, server: 'https://127.0.0.1:1' }));
    const report = await examined(mesh, ['--destination-context=west', `--kubeconfig=${kubeconfig}`]);
    expect(complaints(report, mesh)).toEqual(['error cluster-access: context west']);
    expect(report.clusters).toEqual([{ context: 'east', name: 'east' }]);
    const alone = await run('doctor', ...mesh.argv(`--kubeconfig=${kubeconfig}`, '--context=west'));
    expect([alone.status, alone.stderr]).toEqual([255, expect.stringMatching(/context west: .*ECONNREFUSED/)]);
  });

  test('of what may not be read one finding each says what is not checked, and which right it needs', async () => {
    const { requests } = mesh.servers.west;
    await mesh.create('west', 'serviceaccounts', { metadata: { name: 'reader' } });
    const role = { rules: [{ apiGroups: [''], resources: ['configmaps', 'services'], verbs: ['get', 'list'] }] };
    const rbac = '/apis/rbac.authorization.k8s.io/v1';
    await requests.create(`${rbac}/clusterroles`, { metadata: { name: 'reader' }, ...role });
    await requests.create(`${rbac}/clusterrolebindings`, {
      metadata: { name: 'reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
      subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: mesh.namespace }],
    });
    const path = `${mesh.path('serviceaccounts', 'reader')}/token`;
    const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3_600 } };
    const { status } = (await requests.create(path, request)) as { status: { token: string } };
    const kubeconfig = changedKubeconfig(mesh, (west) => west, status.token);
    const report = await examined(mesh, ['--destination-context=west', `--kubeconfig=${kubeconfig}`]);
    const unread = report.findings.filter(({ verdict }) => verdict !== 'ok');
    expect(new Set(unread.map(({ verdict, check }) => `${verdict} ${check}`))).toEqual(new Set(['unknown read-access']));
    expect(unread.find(({ subject }) => subject === 'west: secrets')).toMatchObject({
      evidence: `cannot check the CA, the certificates, the entries of remote clusters: needs get of secrets in namespace ${mesh.namespace}`,
      remedy: expect.stringMatching(
        /grant the user of context west get of secrets .*kubectl --context=west .*auth can-i get secrets/,
      ),
    });
    expect(unread.map(({ subject }) => subject)).toContain('west: ciliumnodes.cilium.io');
    expect(report.findings.find(({ check }) => check === 'unique-cluster-id')?.verdict).toBe('ok');
  });

  test('a workstation whose clock is wrong', async () => {
    const behind = { ...systemClock, nowMs: () => Date.now() - 120_000 };
    const lines = complaints(await examined(mesh, ['--destination-context=west'], { clock: behind }), mesh);
    expect(lines).toEqual(['warning clock-skew: east', 'warning clock-skew: west']);
  });

  test('the checks inside the Pods are run in a container of each that runs, and their findings are bounded', async () => {
    const finding = { check: 'tls-ca', group: 'TLS', verdict: 'error', subject: 'west', evidence: 'a\u001Bb', remedy: 'c' };
    const findings = [finding, { ...finding, verdict: 'fatal' }, { ...finding, subject: 7 }, { ...finding, check: '<b>' }];
    const many = [...findings, ...Array.from({ length: 2_000 }, () => ({ ...finding, evidence: 'x'.repeat(10_000) }))];
    const commands: unknown[] = [];
    const report = await examined(mesh, ['--destination-context=west'], {
      async runInPod(cluster, command) {
        commands.push([cluster.name, command]);
        if (cluster.name === 'west') throw new Error('exec is forbidden');
        return { stdout: JSON.stringify({ findings: many }), stderr: '' };
      },
    });
    const command = ['/usr/bin/clustermesh-apiserver', 'kvstoremesh-dbg', 'doctor', '--output=json'];
    expect(commands).toEqual(
      ['east', 'west'].map((side) => [side, { pod: 'clustermesh-apiserver-0', container: 'kvstoremesh', command }]),
    );
    const pods = report.findings.filter(({ verdict }) => verdict !== 'ok');
    const subject = `east: Pod ${mesh.namespace}/clustermesh-apiserver-0: west`;
    expect(pods[0]).toEqual({ ...finding, subject, evidence: 'a b' });
    expect(pods[1]?.evidence).toMatch(/^x{600}…$/);
    expect(pods.length).toBe(500 - 3 + 1);
    expect(pods.at(-1)).toMatchObject({
      check: 'pod-checks',
      verdict: 'unknown',
      evidence: expect.stringMatching(/exec is forbidden/),
    });
  });

  test('a program in a Pod that has no such checks', async () => {
    const runInPod = async () => ({ stdout: '', stderr: 'Error: unknown command "doctor"\n' });
    const lines = await examined(mesh, ALONE, { runInPod });
    expect(complaints(lines, mesh)).toEqual(['unknown pod-checks: east: Pod NS/clustermesh-apiserver-0']);
    expect(lines.findings.at(-1)?.evidence).toMatch(/no result: Error: unknown command "doctor"$/);
  });

  test.each(['baseline', 'restricted'])('Pod security %s rejects what the API server rejects', async (level) => {
    const { requests } = mesh.servers.east;
    const labels = { 'pod-security.kubernetes.io/enforce': level };
    await requests.create('/api/v1/namespaces', { metadata: { name: level, labels } });
    const strict = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, runAsNonRoot: true };
    const seccompProfile = { type: 'RuntimeDefault' };
    const own: readonly object[] = [
      {},
      { ...strict, seccompProfile },
      { ...strict, seccompProfile, runAsUser: 0 },
      { ...strict, seccompProfile, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } },
      { ...strict, seccompProfile, capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } },
      { ...strict, seccompProfile, capabilities: { drop: ['NET_RAW'] } },
      { ...strict, seccompProfile, allowPrivilegeEscalation: true },
      { privileged: true },
      strict,
    ];
    const pods: readonly object[] = [
      {},
      { securityContext: { runAsNonRoot: true, seccompProfile } },
      { hostNetwork: true },
      { hostPID: true },
      { volumes: [{ name: 'data', hostPath: { path: '/' } }] },
      { volumes: [{ name: 'data', emptyDir: {} }] },
      { volumes: [{ name: 'data', nfs: { server: 'nfs', path: '/' } }] },
    ];
    for (const securityContext of own)
      for (const pod of pods) {
        const spec = { ...pod, containers: [{ name: 'etcd', image: 'none', securityContext }] };
        const answer = await requests.send('POST', `/api/v1/namespaces/${level}/pods?dryRun=All`, {
          metadata: { name: 'pod' },
          spec,
        });
        const facts = {
          label: 'east',
          ownNamespace: { metadata: { labels } },
          workload: { spec: { template: { spec } } },
        } as unknown;
        const [finding] = podSecurity(facts as Member);
        expect([finding?.verdict, spec, answer.body]).toEqual([answer.code === 201 ? 'ok' : 'error', spec, answer.body]);
      }
  });

  /** A kubeconfig with another cluster or token of west. */
  function changedKubeconfig({ kubeconfig }: Mesh, change: (west: object) => object, token?: string): string {
    const content = parse(readFileSync(kubeconfig, 'utf8'));
    for (const each of content.clusters) if (each.name === 'west') each.cluster = change(each.cluster);
    for (const each of content.users) if (each.name === 'west' && token !== undefined) each.user = { token };
    const file = join(temporaryDirectory('doctor'), 'kubeconfig');
    writeFileSync(file, stringify(content), { mode: 0o600 });
    return file;
  }
});
