import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ClusterPlan } from '../../../src/kvstoremesh/import-policy/plan.ts';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { ConfigDirectory } from '../../support/kvstoremesh/config-directory.ts';
import { KvstoremeshRun } from '../../support/kvstoremesh/kvstoremesh-run.ts';
import { type Remote, type Store, startLocal, startRemote } from '../../support/kvstoremesh/mesh-fixture.ts';
import { runChild } from '../../support/processes/child.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const RANGE = 7 * 65_536;
const labels = (namespace: string) => `k8s:io.kubernetes.pod.namespace=${namespace};`;
const endpoint = (IP: string, ID: number, K8sNamespace: string) => JSON.stringify({ IP, ID, K8sNamespace });

async function startBerlin(): Promise<Remote> {
  const remote = await startRemote('berlin');
  await remote.configure(7);
  await remote.put({
    'cilium/state/nodes/v1/berlin/n1': '{}',
    [`cilium/state/identities/v1/id/${RANGE + 1}`]: labels('shop'),
    [`cilium/state/identities/v1/id/${RANGE + 2}`]: labels('bank'),
    'cilium/state/ip/v1/default/10.8.0.1': endpoint('10.8.0.1', RANGE + 1, 'shop'),
    'cilium/state/ip/v1/default/10.8.0.2': endpoint('10.8.0.2', RANGE + 2, 'bank'),
    'cilium/state/services/v1/berlin/shop/cart': '{}',
  });
  await remote.announce();
  return remote;
}

async function plan(local: Store, directory: ConfigDirectory, text: string, ...more: string[]) {
  const files = temporaryDirectory('plan');
  writeFileSync(join(files, 'local.yaml'), `endpoints: ["${local.process.endpoint}"]\n`);
  writeFileSync(join(files, 'policy.yaml'), text);
  const flags = [`--etcd-config=${join(files, 'local.yaml')}`, `--clustermesh-config=${directory.path}`];
  return runChild('node', ['src/main.ts', 'kvstoremesh-dbg', 'import-plan', join(files, 'policy.yaml'), ...flags, ...more]);
}

describe.skipIf(etcdVersions().length === 0)('a policy file and its plan', { timeout: 90_000 }, () => {
  test('the plan says what the daemon then does, and writes nothing; a wrong file changes nothing', async () => {
    await using local = await startLocal();
    await using berlin = await startBerlin();
    const directory = new ConfigDirectory();
    directory.add(berlin);
    const policyFile = join(temporaryDirectory('policy'), 'policy.yaml');
    await using daemon = await KvstoremeshRun.start(local, directory, { flags: [`--import-policy=${policyFile}`] });
    await daemon.ready();
    const everything = await local.dump('cilium/cache/');
    expect(Object.keys(everything)).toHaveLength(6);

    const text = 'clusters: [{match: berlin, namespaces: {deny: [bank]}, kinds: [identities, endpoints, services]}]';
    const revision = await local.revision();
    const shown = await plan(local, directory, text, '-o', 'json');
    expect(shown).toMatchObject({ status: 0, stderr: '' });
    const [cluster] = (JSON.parse(shown.stdout) as { clusters: ClusterPlan[] }).clusters;
    expect(cluster).toMatchObject({ cluster: 'berlin', match: 'berlin' });
    const removed = [
      'cilium/cache/nodes/v1/berlin/n1',
      `cilium/cache/identities/v1/berlin/id/${RANGE + 2}`,
      'cilium/cache/ip/v1/berlin/10.8.0.2',
    ];
    expect(cluster?.kinds.flatMap(({ remove }) => remove.examples)).toEqual(removed);
    expect(cluster?.kinds.every(({ add }) => add.count === 0)).toBe(true);
    expect((await plan(local, directory, text)).stdout).toMatch(/identities +1 of 2 imported: add 0, remove 1/);
    expect(await local.revision()).toBe(revision);

    writeFileSync(policyFile, 'clusters: [{match: berlin, kinds: [endpoint]}]');
    await until('the daemon reports the file', async () =>
      /policy\.yaml:1:36: clusters/.test((await daemon.get('health', '/healthz')).body),
    );
    expect(await local.dump('cilium/cache/')).toEqual(everything);
    expect((await daemon.get('metrics', '/metrics')).body).toMatch(/^cilium_kvstoremesh_import_policy_failures_total 1$/m);

    writeFileSync(policyFile, text);
    const left = Object.fromEntries(Object.entries(everything).filter(([key]) => !removed.includes(key)));
    await until('the policy is in force', async () => Object.keys(await local.dump('cilium/cache/')).length === 3);
    expect(await local.dump('cilium/cache/')).toEqual(left);
    await daemon.until('the status says so', 'berlin', (status) => status['import-policy']?.summary);
    const report = JSON.parse((await daemon.get('api', '/v1/import-policy')).body) as { clusters: unknown[] };
    expect(report.clusters).toMatchObject([{ cluster: 'berlin', match: 'berlin' }]);

    const wider = await plan(local, directory, 'clusters: []', 'berlin');
    expect(wider.stdout).toContain('berlin (no rule matches; everything is imported)');
    expect(wider.stdout).toContain('add cilium/cache/nodes/v1/berlin/n1');
  });

  test('a plan names a wrong file, and clusters that cannot be read', async () => {
    await using local = await startLocal();
    const directory = new ConfigDirectory();
    directory.write('gone', 'endpoints: ["http://127.0.0.1:1"]\n');
    const wrong = await plan(local, directory, 'clusters: 5');
    expect(wrong.status).not.toBe(0);
    expect(wrong.stderr).toContain('policy.yaml:1:11: clusters: allowed');
    const gone = await plan(local, directory, 'clusters: []', '--timeout=500ms');
    expect(gone).toMatchObject({ status: 1, stderr: expect.stringContaining('gone: ') });
  });
});
