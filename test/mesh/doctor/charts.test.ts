/** What the charts of Cilium's releases install is healthy: doctor has nothing to report, with and without kvstoremesh. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CertificateIssuer } from '../../support/cilium-chart/certificates.ts';
import { ciliumChartObjects } from '../../support/cilium-chart/chart.ts';
import { type CiliumVersion, VERSIONS } from '../../support/cilium-chart/versions.ts';
import type { KubeObject } from '../../support/kube-object.ts';
import { providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { opensslMissing } from '../../support/tls/certificates.ts';
import { type Mesh, meshFixture, type Side } from '../mesh-fixture.ts';
import { complaints, examined, withCilium, withNodes } from './doctor-fixture.ts';

const missing = providerMissing('real') ?? opensslMissing();
const SIDES = ['east', 'west'] as const;
const NODES = { east: ['192.0.2.11', '192.0.2.12'], west: ['192.0.2.21', '192.0.2.22'] } as const;

describe.skipIf(missing !== undefined)(`charts${missing === undefined ? '' : ` (${missing})`}`, { timeout: 60_000 }, () => {
  const meshes = meshFixture();
  const issuer = new CertificateIssuer();
  let port = 31_000;
  beforeAll(async () => {
    await Promise.all(SIDES.map((side) => withNodes(meshes.empty(), side)));
  }, 60_000);
  afterAll(() => issuer[Symbol.dispose]());

  async function installed(version: CiliumVersion, kvstoremesh: boolean): Promise<Mesh> {
    const mesh = meshes.empty();
    port += 2;
    const ports = { east: port, west: port + 1 };
    for (const side of SIDES) {
      const other = side === 'east' ? 'west' : 'east';
      await mesh.servers[side].requests.create('/api/v1/namespaces', { metadata: { name: mesh.namespace } });
      const objects = ciliumChartObjects({
        version,
        kvstoremesh,
        image: `quay.io/cilium/clustermesh-apiserver:v${version}.1`,
        clusterName: side,
        clusterId: side === 'east' ? 1 : 2,
        issuer,
        namespace: mesh.namespace,
        service: { type: 'NodePort', nodePort: ports[side] },
        peers: [{ name: other, port: ports[other], ips: NODES[other] }],
      });
      for (const object of objects) await apply(mesh, side, object);
      await withCilium(mesh, side, `${version}.1`);
    }
    return mesh;
  }

  async function apply({ servers }: Mesh, side: Side, object: KubeObject): Promise<void> {
    const { apiVersion, kind, metadata } = object;
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const scope = metadata.namespace === undefined ? '' : `/namespaces/${metadata.namespace}`;
    await servers[side].requests.apply(`${root}${scope}/${kind.toLowerCase()}s/${metadata.name}`, object);
  }

  /** The certificates of this issuer are valid for a month only. */
  async function told(mesh: Mesh): Promise<readonly string[]> {
    return complaints(await examined(mesh), mesh).filter((line) => !line.startsWith('warning certificate-expires-soon:'));
  }

  test.each(VERSIONS.flatMap((version) => [true, false].map((kvstoremesh) => [version, kvstoremesh] as const)))(
    'of Cilium %s, kvstoremesh %s',
    async (version, kvstoremesh) => {
      const mesh = await installed(version, kvstoremesh);
      expect(await told(mesh)).toEqual([]);
    },
  );

  test('addresses in host aliases of the Pods, as charts before 1.20 have them, are checked too', async () => {
    const mesh = await installed('1.19', true);
    const path = `/apis/apps/v1/namespaces/${mesh.namespace}/deployments/clustermesh-apiserver`;
    const hostAliases = [{ ip: '192.0.2.99', hostnames: ['west.mesh.cilium.io'] }];
    await mesh.servers.east.requests.patch(path, 'merge-patch', { spec: { template: { spec: { hostAliases } } } });
    expect(await told(mesh)).toEqual(['warning entry-addresses: east: Secret NS/cilium-kvstoremesh, entry west']);
  });
});
