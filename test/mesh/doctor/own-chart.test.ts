/** What this project's chart installs is healthy: one cluster with three members of an etcd, the other with one container for both daemons. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { HELM, helmMissing } from '../../support/kubernetes/helm-binary.ts';
import { providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type Mesh, meshFixture, type Side } from '../mesh-fixture.ts';
import { complaints, examined, withCilium, withNodes } from './doctor-fixture.ts';

const missing = providerMissing('real') ?? helmMissing();
const CHART = join(import.meta.dirname, '../../../charts/clustermesh-apiserver');
const PORTS = { east: 32_379, west: 32_380 };
const OTHERS = {
  east: { west: { ips: ['192.0.2.21', '192.0.2.22'], port: PORTS.west } },
  west: { east: { ips: ['192.0.2.11', '192.0.2.12'], port: PORTS.east } },
};

describe.skipIf(missing !== undefined)(`this chart${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();
  let mesh: Mesh;
  beforeAll(async () => {
    mesh = meshes.empty();
    const directory = temporaryDirectory('doctor-chart');
    await prepared('east');
    await installed(directory, 'east', { etcd: { replication: { enabled: true } } });
    await prepared('west');
    const ca = await mesh.secret('east', 'cilium-ca');
    await mesh.create('west', 'secrets', { metadata: { name: 'cilium-ca' }, data: ca?.data ?? {} });
    await installed(directory, 'west', { combined: { enabled: true } });
    await withCilium(mesh, 'east', '1.19.6', { kind: 'statefulsets', replicas: 3 });
    await withCilium(mesh, 'west', '1.19.6');
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const path = `/api/v1/namespaces/${mesh.namespace}`;
    for (const side of ['east', 'west'] as const)
      await mesh.servers[side].requests.patch(path, 'merge-patch', { metadata: { labels } });
  }, 60_000);

  async function prepared(side: Side): Promise<void> {
    await mesh.servers[side].requests.create('/api/v1/namespaces', { metadata: { name: mesh.namespace } });
    const data = { 'cluster-name': side, 'cluster-id': side === 'east' ? '1' : '2' };
    await mesh.create(side, 'configmaps', { metadata: { name: 'cilium-config' }, data });
    // The controller manager has it in every namespace.
    await mesh.create(side, 'configmaps', { metadata: { name: 'kube-root-ca.crt' }, data: {} });
    await withNodes(mesh, side);
  }

  async function installed(directory: string, side: Side, more: object): Promise<void> {
    const file = join(directory, `${side}.yaml`);
    const values = {
      cluster: { name: side, id: side === 'east' ? 1 : 2 },
      image: { override: 'registry.test/clustermesh-apiserver:v0.1.0' },
      service: { nodePort: PORTS[side] },
      mesh: { clusters: OTHERS[side] },
      ...more,
    };
    writeFileSync(file, stringify(values));
    const place = [`--namespace=${mesh.namespace}`, `--kubeconfig=${mesh.kubeconfig}`, `--kube-context=${side}`];
    const env = { PATH: process.env.PATH, HOME: directory };
    await promisify(execFile)(HELM, ['install', 'mesh', CHART, ...place, `--values=${file}`], { env });
  }

  test('doctor has nothing to report', async () => {
    expect(complaints(await examined(mesh), mesh)).toEqual([]);
  });
});
