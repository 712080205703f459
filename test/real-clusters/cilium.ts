/** What Cilium leaves in a cluster for the programs of the mesh, and its objects. */
import { meshDefinitions } from '../../demo/kubernetes/mesh-definitions.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { until } from '../support/until.ts';

/** Of Cilium, and of what joins its clusters. */
export const NAMESPACE = 'kube-system';
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const GLOBAL = { 'service.cilium.io/global': 'true' };

/** As Cilium's operator does. */
export async function installDefinitions({ requests }: RealCluster): Promise<void> {
  for (const definition of meshDefinitions) await requests.create(DEFINITIONS, definition);
  for (const { spec } of meshDefinitions) {
    const path = `/apis/${spec.group}/${spec.versions[0]?.name}/${spec.names.plural}`;
    await until(`${path} is served`, async () => (await requests.send('GET', path)).code === 200);
  }
}

/** The ConfigMap with the name and the ID of the cluster, as Cilium's chart makes it. */
export async function createConfiguration({ requests, name, number }: RealCluster): Promise<void> {
  await requests.create(`/api/v1/namespaces/${NAMESPACE}/configmaps`, {
    metadata: { name: 'cilium-config' },
    data: { 'cluster-name': name, 'cluster-id': String(number), 'max-connected-clusters': '255' },
  });
}

/** Creates a global Service in the namespace `default` with one endpoint. */
export async function createGlobalService(cluster: RealCluster, name: string, address: string): Promise<void> {
  const { requests } = cluster;
  await requests.create('/api/v1/namespaces/default/services', {
    metadata: { name, annotations: GLOBAL },
    spec: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
  });
  await requests.create('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
  });
}
