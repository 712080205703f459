/** Two healthy clusters that are connected, and faults that are planted in them and removed again. */
import { type DoctorReport, doctor } from '../../../src/mesh/doctor/doctor.ts';
import type { RunInPod } from '../../../src/mesh/doctor/pods.ts';
import { doctorFlagTable } from '../../../src/mesh/flags.ts';
import { parseFlags } from '../../../src/shared/flags/parse.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import type { Mesh, Side } from '../mesh-fixture.ts';

type Json = Record<string, unknown>;
interface StoredObject extends Json {
  readonly metadata: Json;
}

const NAME = 'clustermesh-apiserver';
const LABELS = { 'k8s-app': NAME };
const RBAC = '/apis/rbac.authorization.k8s.io/v1';
const SIDES: readonly Side[] = ['east', 'west'];
const NUMBERS = { east: 1, west: 2 } as const;

export const NODE_PORTS = { east: 32_379, west: 32_380 } as const;

const reading = (group: string, ...resources: readonly string[]) => ({
  apiGroups: [group],
  resources,
  verbs: ['get', 'list', 'watch'],
});

export const RULES = [
  reading('cilium.io', 'ciliumidentities', 'ciliumendpoints', 'ciliumnodes', 'ciliumendpointslices'),
  reading('apiextensions.k8s.io', 'customresourcedefinitions'),
  reading('', 'namespaces', 'services'),
  reading('discovery.k8s.io', 'endpointslices'),
  reading('multicluster.x-k8s.io', 'serviceexports'),
];

/** Completes what `meshFixture` has installed in both clusters, and connects them. */
export async function makeHealthy(mesh: Mesh): Promise<void> {
  await Promise.all(SIDES.map((side) => completed(mesh, side)));
  const { verdict } = await mesh.connect();
  if (verdict !== 'done') throw new Error(`connect: ${verdict}`);
}

async function completed(mesh: Mesh, side: Side): Promise<void> {
  const { requests } = mesh.servers[side];
  const apps = `/apis/apps/v1/namespaces/${mesh.namespace}`;
  await mesh.patch(side, 'configmaps', 'cilium-config', {
    data: { 'routing-mode': 'tunnel', 'tunnel-protocol': 'vxlan', 'identity-allocation-mode': 'crd', ipam: 'cluster-pool' },
  });
  await mesh.patch(side, 'services', NAME, {
    spec: { type: 'NodePort', ports: [{ port: 2379, nodePort: NODE_PORTS[side] }] },
  });
  await mesh.create(side, 'serviceaccounts', { metadata: { name: NAME } });
  await mesh.create(side, 'configmaps', { metadata: { name: 'clustermesh-remote-users' }, data: { 'users.yaml': 'users: []' } });
  await requests.create(`${RBAC}/clusterroles`, { metadata: { name: NAME }, rules: RULES });
  await requests.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: NAME },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: NAME },
    subjects: [{ kind: 'ServiceAccount', name: NAME, namespace: mesh.namespace }],
  });
  await requests.patch(`${apps}/deployments/${NAME}`, 'strategic-merge-patch', { spec: { template: { spec: podSpec() } } });
  await withCilium(mesh, side, '1.19.6');
  await withNodes(mesh, side);
}

/** Agents and operator of a release; and what controllers make of the Deployment: it is ready, with a Pod and an endpoint. */
export async function withCilium(
  mesh: Mesh,
  side: Side,
  version: string,
  { kind = 'deployments', replicas = 1 } = {},
): Promise<void> {
  const { requests } = mesh.servers[side];
  const apps = `/apis/apps/v1/namespaces/${mesh.namespace}`;
  await requests.create(`${apps}/daemonsets`, workload('cilium', 'cilium-agent', `quay.io/cilium/cilium:v${version}`));
  const image = `quay.io/cilium/operator-generic:v${version}`;
  await requests.create(`${apps}/deployments`, workload('cilium-operator', 'cilium-operator', image));
  const status = { replicas, readyReplicas: replicas };
  await requests.patch(`${apps}/${kind}/${NAME}/status`, 'merge-patch', { status });
  await runningPod(mesh, side);
}

/** Of the cluster, not of the namespace. */
export async function withNodes(mesh: Mesh, side: Side): Promise<void> {
  const path = '/apis/cilium.io/v2/ciliumnodes';
  for (const index of [0, 1]) {
    const ip = `192.0.2.${NUMBERS[side]}${index + 1}`;
    const spec = { addresses: [{ type: 'InternalIP', ip }], ipam: { podCIDRs: [`10.${NUMBERS[side]}.${index}.0/24`] } };
    await mesh.servers[side].requests.create(path, {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNode',
      metadata: { name: `${side}-${index}` },
      spec,
    });
  }
}

async function runningPod(mesh: Mesh, side: Side): Promise<void> {
  const { requests } = mesh.servers[side];
  const containers = ['apiserver', 'kvstoremesh'].map((name) => ({ name, image: 'none' }));
  await mesh.create(side, 'pods', {
    metadata: { name: `${NAME}-0`, labels: LABELS },
    spec: { nodeName: `${side}-0`, containers },
  });
  const containerStatuses = containers.map(({ name }) => containerStatus(name, { running: {} }));
  const status = { phase: 'Running', containerStatuses };
  await requests.patch(mesh.path('pods', `${NAME}-0/status`), 'merge-patch', { status });
  await requests.create(`/apis/discovery.k8s.io/v1/namespaces/${mesh.namespace}/endpointslices`, {
    metadata: { name: NAME, labels: { 'kubernetes.io/service-name': NAME } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.9.0.1'], conditions: { ready: true } }],
    ports: [{ port: 2379 }],
  });
}

export function containerStatus(name: string, state: object, more: object = {}) {
  return { name, image: 'none', imageID: '', ready: true, restartCount: 0, state, ...more };
}

function podSpec() {
  return {
    serviceAccountName: NAME,
    securityContext: { runAsNonRoot: true },
    volumes: [
      { name: 'etcd-server-secrets', secret: { secretName: `${NAME}-server-cert` } },
      { name: 'etcd-admin-client', projected: { sources: [{ secret: { name: `${NAME}-admin-cert` } }] } },
      { name: 'etcd-users-config', configMap: { name: 'clustermesh-remote-users' } },
      { name: 'kvstoremesh-secrets', projected: { sources: [{ secret: { name: 'not-there', optional: true } }] } },
    ],
  };
}

function workload(name: string, container: string, image: string) {
  const labels = { 'k8s-app': name };
  return {
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: container, image }] } },
    },
  };
}

export async function examined(
  mesh: Mesh,
  argv: readonly string[] = ['--destination-context=west'],
  run: { readonly clock?: Clock; readonly runInPod?: RunInPod } = {},
): Promise<DoctorReport> {
  const parsed = parseFlags(doctorFlagTable, [...mesh.argv(), ...argv], {});
  if (parsed === 'help') throw new Error('it was not asked for help');
  return doctor(parsed.values, { clock: systemClock, signal: AbortSignal.timeout(30_000), ...run });
}

/** Lines of what is not in order, with texts that differ in each run replaced. */
export function complaints({ findings }: DoctorReport, { namespace }: Mesh): readonly string[] {
  return findings
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ verdict, check, subject }) => `${verdict} ${check}: ${subject.replaceAll(namespace, 'NS')}`);
}

/** Changes of both clusters, which `undo` reverts, the last one first. */
export class Planting {
  readonly mesh: Mesh;
  readonly #undo: (() => Promise<void>)[] = [];

  constructor(mesh: Mesh) {
    this.mesh = mesh;
  }

  /** `path` of an object; `status` is patched too where the object has such a part. */
  async patch(side: Side, path: string, patch: object, type = 'merge-patch'): Promise<void> {
    const { requests } = this.mesh.servers[side];
    const before = (await requests.get(path)) as StoredObject;
    const subresource = path.endsWith('/status') ? path.slice(0, -'/status'.length) : path;
    await requests.patch(path, type, patch);
    this.#undo.push(async () => {
      const { metadata } = (await requests.get(subresource)) as StoredObject;
      await requests.replace(path, { ...before, metadata: { ...before.metadata, resourceVersion: metadata.resourceVersion } });
    });
  }

  async create(side: Side, collection: string, object: { readonly metadata: { readonly name: string } }): Promise<void> {
    const { requests } = this.mesh.servers[side];
    await requests.create(collection, object);
    this.#undo.push(() => requests.delete(`${collection}/${object.metadata.name}`));
  }

  async delete(side: Side, path: string): Promise<void> {
    const { requests } = this.mesh.servers[side];
    const before = (await requests.get(path)) as StoredObject;
    await requests.delete(path);
    this.#undo.push(async () => {
      const { resourceVersion: _, uid: __, ...metadata } = before.metadata;
      await requests.create(path.slice(0, path.lastIndexOf('/')), { ...before, metadata });
      const { status } = before;
      if (path.includes('/deployments/')) await requests.patch(`${path}/status`, 'merge-patch', { status });
    });
  }

  /** Values of `cilium-config`; null removes one. */
  config(side: Side, data: Readonly<Record<string, string | null>>): Promise<void> {
    return this.patch(side, this.mesh.path('configmaps', 'cilium-config'), { data });
  }

  /** Values of a Secret; null removes one. */
  secret(side: Side, name: string, values: Readonly<Record<string, string | null>>): Promise<void> {
    const encoded = ([key, value]: [string, string | null]) => [
      key,
      value === null ? null : Buffer.from(value).toString('base64'),
    ];
    const data = Object.fromEntries(Object.entries(values).map(encoded));
    return this.patch(side, this.mesh.path('secrets', name), { data });
  }

  async undo(): Promise<void> {
    for (const step of this.#undo.splice(0).reverse()) await step();
  }
}
