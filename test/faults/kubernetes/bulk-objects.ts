/**
 * Very many identities and endpoints in a real kube-apiserver, and what is to become of them.
 *
 * Through the API they would take hours, so they are laid into the etcd of the server. One object of each kind is created
 * through the API and read there: all others are stored as it is.
 */
import { randomUUID } from 'node:crypto';
import { podsOfEndpoint } from '../../../src/apiserver/converters/endpoint.ts';
import { convertIdentity } from '../../../src/apiserver/converters/identity.ts';
import { convertPods } from '../../../src/apiserver/converters/pods.ts';
import type { Cluster } from '../../../src/apiserver/encoding/keyspace.ts';
import { createEtcdClient } from '../../../src/shared/etcd/client.ts';
import { type EtcdClient, keyOf, NO_LEASE, type Revision, type TxnOperation } from '../../../src/shared/etcd/types.ts';
import { projectCiliumEndpoint, projectCiliumIdentity } from '../../../src/shared/kubernetes/objects/projections.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import type { KubeApiserver } from '../../support/kubernetes/kube-apiserver.ts';
import { until } from '../../support/until.ts';

/** As the API server takes an object; what it adds is added by `layInto`. */
interface BulkObject {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: unknown;
}

interface BulkKind {
  readonly kind: string;
  readonly plural: string;
  /** Of a whole number of objects, how many are of this kind. */
  readonly share: number;
  readonly object: (index: number) => BulkObject;
}

/** Operations of one transaction; an etcd accepts 128 by default. */
const BATCH = 128;
const NAMESPACES = Array.from({ length: 20 }, (_, index) => `bulk-${index}`);
const WITHIN_MS = 120_000;

const namespaceOf = (index: number) => NAMESPACES[index % NAMESPACES.length] ?? '';
const bytes = (index: number) => `${index >> 16}.${(index >> 8) & 255}.${index & 255}`;

const KINDS: readonly BulkKind[] = [
  {
    kind: 'CiliumIdentity',
    plural: 'ciliumidentities',
    share: 0.6,
    object: (index) => ({
      metadata: { name: String(1_000_000 + index) },
      'security-labels': {
        'k8s:app.kubernetes.io/name': `app-${index}`,
        'k8s:app.kubernetes.io/part-of': 'bulk <&>',
        'k8s:io.cilium.k8s.policy.cluster': 'east',
        'k8s:io.cilium.k8s.policy.serviceaccount': 'default',
        'k8s:io.kubernetes.pod.namespace': namespaceOf(index),
      },
    }),
  },
  {
    kind: 'CiliumEndpoint',
    plural: 'ciliumendpoints',
    share: 0.4,
    object: (index) => ({
      metadata: { name: `pod-${index}`, namespace: namespaceOf(index) },
      status: {
        id: index % 4096,
        identity: { id: 1_000_000 + index, labels: [`k8s:app.kubernetes.io/name=app-${index}`] },
        networking: { node: '172.16.0.1', addressing: [{ ipv4: `10.${bytes(index)}`, ipv6: `fd00::${index.toString(16)}` }] },
        encryption: {},
        'named-ports': [{ name: 'http', port: 8080, protocol: 'TCP' }],
        state: 'ready',
      },
    }),
  },
];

/** The objects of a bulk of `count`, by kind. */
function objectsOf(kind: BulkKind, count: number): BulkObject[] {
  return Array.from({ length: Math.round(count * kind.share) }, (_, index) => kind.object(index));
}

/** Fills the server with `count` objects; resolves when it serves them, from its memory too. */
export async function layInto(api: KubeApiserver, count: number): Promise<void> {
  for (const name of NAMESPACES) await api.requests.create('/api/v1/namespaces', { metadata: { name } });
  const config = { endpoints: [api.etcd.endpoint] };
  const client = createEtcdClient({ config, name: 'bulk', log: silentLogger, clock: systemClock });
  try {
    for (const kind of KINDS) await layKind(api, client, kind, objectsOf(kind, count));
  } finally {
    client.close();
  }
}

async function layKind(api: KubeApiserver, client: EtcdClient, kind: BulkKind, objects: readonly BulkObject[]): Promise<void> {
  const [first, ...others] = objects;
  if (first === undefined) return;
  const signal = AbortSignal.timeout(WITHIN_MS);
  const collection = (namespace?: string) =>
    `/apis/cilium.io/v2/${namespace === undefined ? '' : `namespaces/${namespace}/`}${kind.plural}`;
  const keyOfObject = ({ metadata: { namespace, name } }: BulkObject) =>
    keyOf(`/registry/cilium.io/${kind.plural}/${namespace === undefined ? '' : `${namespace}/`}${name}`);
  await api.requests.create(collection(first.metadata.namespace), { apiVersion: 'cilium.io/v2', kind: kind.kind, ...first });
  const stored = await client.get(keyOfObject(first), { signal });
  if (stored === undefined) throw new Error(`the kube-apiserver does not store its objects as ${keyOfObject(first)}`);
  const model = JSON.parse(stored.value.toString()) as BulkObject;

  const operations = others.map((object): TxnOperation => {
    const metadata = { ...model.metadata, ...object.metadata, uid: randomUUID() };
    const value = Buffer.from(JSON.stringify({ ...model, ...object, metadata }));
    return { type: 'put', key: keyOfObject(object), value, lease: NO_LEASE };
  });
  let revision: Revision = stored.modRevision;
  for (let from = 0; from < operations.length; from += BATCH) {
    revision = await client.txn(operations.slice(from, from + BATCH), { signal });
  }
  // It waits until its watch has caught up, and then reports that there are no objects of the kind.
  const query = `labelSelector=none=such&resourceVersionMatch=NotOlderThan&resourceVersion=${revision}`;
  const isServed = async () => (await api.requests.send('GET', `${collection()}?${query}`)).code === 200;
  await until(`the ${kind.plural} are served`, isServed, { withinMs: WITHIN_MS });
}

/** What a bulk of `count` is exported as: values by key, as the converters alone have them. */
export function exportOf(cluster: Cluster, count: number): ReadonlyMap<string, Buffer> {
  const [identities, endpoints] = KINDS.map((kind) => objectsOf(kind, count));
  const conversions = [
    ...(identities ?? []).map((raw) => convertIdentity(cluster, projectCiliumIdentity(raw))),
    ...(endpoints ?? []).map((raw) => convertPods(cluster, podsOfEndpoint(projectCiliumEndpoint(raw)))),
  ];
  return new Map(conversions.flatMap(({ entries }) => entries.map(({ key, value }) => [key, Buffer.from(value)] as const)));
}
