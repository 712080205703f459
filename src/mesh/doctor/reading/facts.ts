/** Reads everything of one cluster that the checks need, in parallel. */
import { recordOf } from '../../../shared/kubernetes/objects/json.ts';
import type { Clock } from '../../../shared/time/clock.ts';
import { recordsOf } from '../../addresses.ts';
import { CLUSTERMESH_SECRET, KVSTOREMESH_SECRET } from '../../entries.ts';
import type { ClockFact, ClusterFacts, ListFact, ObjectFact } from '../facts.ts';
import type { Reader } from './reader.ts';
import { missingReferences } from './references.ts';
import { boundRules } from './rights.ts';
import { serviceCidrs } from './service-cidrs.ts';

const NAME = 'clustermesh-apiserver';

/** Secrets that are read with their content; keys are never shown. */
const SECRETS: readonly (readonly [name: string, purpose: string])[] = [
  ['cilium-ca', 'the CA'],
  ...['server', 'admin', 'remote', 'local'].map((kind) => [`${NAME}-${kind}-cert`, 'the certificates'] as const),
  [CLUSTERMESH_SECRET, 'the entries of remote clusters'],
  [KVSTOREMESH_SECRET, 'the entries of remote clusters'],
];

/** Group versions that have the custom resources; any user may read them. */
const GROUP_VERSIONS = ['cilium.io/v2', 'cilium.io/v2alpha1', 'multicluster.x-k8s.io/v1alpha1', 'multicluster.x-k8s.io/v1beta1'];

/** Never rejects. */
export async function readFacts(reader: Reader, clock: Clock): Promise<ClusterFacts> {
  const { cluster } = reader;
  const { context, namespace, config } = cluster;
  const [workload, objects, network, services, clockFact, resources] = await Promise.all([
    readWorkload(reader),
    readObjects(reader),
    readNetwork(reader),
    readServices(reader),
    readClock(reader, clock),
    readResources(reader),
  ]);
  return { context, namespace, config, clock: clockFact, resources, ...workload, ...objects, ...network, ...services };
}

async function readWorkload(reader: Reader): Promise<Pick<ClusterFacts, 'workload' | 'missingReferences' | 'rules'>> {
  const purpose = 'the Deployment and its Pods';
  const [deployment, statefulSet] = await Promise.all([
    reader.named('apps/v1/deployments', NAME, purpose),
    reader.named('apps/v1/statefulsets', NAME, purpose),
  ]);
  const workload = deployment === 'absent' ? statefulSet : deployment;
  const template = recordOf(recordOf(recordOf(workload).spec).template);
  if (typeof workload === 'string') return { workload, missingReferences: 'unread', rules: 'unread' };
  const spec = recordOf(template.spec);
  const [references, rules] = await Promise.all([
    missingReferences(reader, spec),
    boundRules(reader, String(spec.serviceAccountName ?? 'default')),
  ]);
  return { workload, missingReferences: references, rules };
}

type Objects = 'ownNamespace' | 'pods' | 'agents' | 'operator' | 'service' | 'endpointSlices' | 'secrets' | 'caBundle';

async function readObjects(reader: Reader): Promise<Pick<ClusterFacts, Objects>> {
  const { cluster } = reader;
  const space = encodeURIComponent(cluster.namespace);
  const versions = 'the versions of Cilium';
  const pods = { path: cluster.collection('pods'), resource: 'pods', isNamespaced: true, purpose: 'the Pods' };
  const slices = {
    path: cluster.collection('discovery.k8s.io/v1/endpointslices'),
    resource: 'endpointslices.discovery.k8s.io',
    isNamespaced: true,
    purpose: 'the endpoints of the Service',
  };
  const [ownNamespace, podList, agents, operator, service, endpointSlices, caBundle, secrets] = await Promise.all([
    reader.object({ path: `/api/v1/namespaces/${space}`, resource: 'namespaces', purpose: 'Pod security' }),
    reader.list(pods, { labelSelector: `k8s-app=${NAME}` }),
    reader.named('apps/v1/daemonsets', 'cilium', versions),
    reader.named('apps/v1/deployments', 'cilium-operator', versions),
    reader.named('services', NAME, 'the Service'),
    reader.list(slices, { labelSelector: `kubernetes.io/service-name=${NAME}` }),
    reader.named('configmaps', 'cilium-root-ca.crt', 'the trusted CAs'),
    Promise.all(SECRETS.map(async ([name, purpose]) => [name, await reader.named('secrets', name, purpose)] as const)),
  ]);
  return { ownNamespace, pods: podList, agents, operator, service, endpointSlices, caBundle, secrets: new Map(secrets) };
}

async function readNetwork(
  reader: Reader,
): Promise<Pick<ClusterFacts, 'policies' | 'ciliumNodes' | 'identities' | 'serviceCidrs'>> {
  const { cluster } = reader;
  const policies = (path: string, resource: string, isNamespaced: boolean): Promise<ListFact> =>
    reader.list({ path, resource, isNamespaced, purpose: 'whether a policy blocks port 2379' });
  const [kubernetes, cilium, clusterwide, ciliumNodes, identities, cidrs] = await Promise.all([
    policies(cluster.collection('networking.k8s.io/v1/networkpolicies'), 'networkpolicies.networking.k8s.io', true),
    policies(cluster.collection('cilium.io/v2/ciliumnetworkpolicies'), 'ciliumnetworkpolicies.cilium.io', true),
    policies('/apis/cilium.io/v2/ciliumclusterwidenetworkpolicies', 'ciliumclusterwidenetworkpolicies.cilium.io', false),
    reader.list({
      path: '/apis/cilium.io/v2/ciliumnodes',
      resource: 'ciliumnodes.cilium.io',
      purpose: 'Pod CIDRs and addresses',
    }),
    countIdentities(reader),
    serviceCidrs(reader),
  ]);
  return { policies: { kubernetes, cilium, clusterwide }, ciliumNodes, identities, serviceCidrs: cidrs };
}

/** The first page has the number of the others. */
async function countIdentities(reader: Reader): Promise<number | 'unread'> {
  const path = '/apis/cilium.io/v2/ciliumidentities?limit=1';
  const wanted = { path, resource: 'ciliumidentities.cilium.io', purpose: 'the number of identities' };
  const page: ObjectFact = await reader.attempt(
    wanted,
    async () => (await reader.cluster.get(path, wanted.resource)) ?? 'absent',
    'list',
  );
  if (page === 'unread') return 'unread';
  if (page === 'absent') return 0;
  return recordsOf(page.items).length + Number(recordOf(page.metadata).remainingItemCount ?? 0);
}

async function readServices(reader: Reader): Promise<Pick<ClusterFacts, 'services' | 'serviceExports'>> {
  const purpose = 'global Services and ServiceExports';
  const exportsOf = (version: string) =>
    reader.list({
      path: `/apis/multicluster.x-k8s.io/${version}/serviceexports`,
      resource: 'serviceexports.multicluster.x-k8s.io',
      purpose,
    });
  const [services, alpha] = await Promise.all([
    reader.list({ path: '/api/v1/services', resource: 'services', purpose }),
    exportsOf('v1alpha1'),
  ]);
  const serviceExports = alpha !== 'unread' && alpha.length === 0 ? await exportsOf('v1beta1') : alpha;
  return { services, serviceExports };
}

async function readResources(reader: Reader): Promise<ClusterFacts['resources']> {
  const lists = await Promise.all(
    GROUP_VERSIONS.map((groupVersion) =>
      reader.object({ path: `/apis/${groupVersion}`, resource: 'API groups', purpose: 'the custom resources' }),
    ),
  );
  if (lists.includes('unread')) return 'unread';
  const names = lists.flatMap((list, index) =>
    recordsOf(recordOf(list).resources).map(({ name }) => `${String(name)}.${GROUP_VERSIONS[index]?.split('/')[0]}`),
  );
  return new Set(names);
}

async function readClock(reader: Reader, clock: Clock): Promise<ClockFact | 'unread'> {
  return reader.attempt({ path: '/version', resource: 'the version', purpose: 'the clock' }, async () => {
    const sentMs = clock.nowMs();
    const timeMs = await reader.cluster.serverTimeMs();
    const receivedMs = clock.nowMs();
    if (timeMs === undefined) return 'unread';
    // Seconds are cut: the true time is up to a second later.
    const errorMs = 500 + (receivedMs - sentMs) / 2;
    return { offsetMs: Math.round(timeMs + 500 - (sentMs + receivedMs) / 2), errorMs };
  });
}
