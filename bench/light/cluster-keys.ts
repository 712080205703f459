/**
 * The keys of a simulated cluster in the byte order of etcd, and their values, computed on request: a cluster of 15,000 keys
 * takes a few bytes for each of its identities.
 *
 * A key is identified by its kind and its position in the order of that kind. Its value depends on a generation: 0 for that of
 * the first load, otherwise the time of the change in microseconds.
 */
import type { Shape } from './shape.ts';

/** The keys below one prefix. */
export interface KeyKind {
  readonly prefix: string;
  readonly count: number;
  /** What follows the prefix, in ascending byte order. */
  readonly name: (position: number) => string;
  readonly value: (position: number, generation: number) => Buffer;
}

export interface ClusterKeysOptions {
  readonly name: string;
  /** From 1 to 511. */
  readonly id: number;
  readonly shape: Shape;
  /** `cache`: as a kvstoremesh writes them to the local etcd, without a heartbeat. */
  readonly root?: 'state' | 'cache';
}

/** A cluster has a block of this many addresses from 10.0.0.0 on; 512 blocks end at 14.0.0.0. */
const BLOCK_ADDRESSES = 2 ** 17;
const ADDRESSES_PER_NODE = 128;
/** With at most 511 clusters an identity has 15 bits beside the cluster ID; those below 256 are reserved. */
const IDENTITY_BITS = 15;
const FIRST_IDENTITY = 256;
const NAMESPACES = 90;

const STATE_KINDS = ['identities', 'ip', 'nodes', 'services'];

const FIRST_TIME = '2026-01-01T00:00:00Z';
/** The time of generation 0. */
const CLOCK_ORIGIN_MS = Date.now() - nowGeneration() / 1000;

/** The kinds in ascending order of their prefixes. Throws RangeError if the shape has more endpoints than its nodes have addresses. */
export function clusterKeys({ name, id, shape, root = 'state' }: ClusterKeysOptions): readonly KeyKind[] {
  if (shape.endpoints > shape.nodes * (ADDRESSES_PER_NODE - 2))
    throw new RangeError(`${shape.nodes} nodes have no addresses for ${shape.endpoints} endpoints`);
  const isCache = root === 'cache';
  const base = `cilium/${root}`;
  const block = ((10 << 24) >>> 0) + (id - 1) * BLOCK_ADDRESSES;
  const numbers = numbersInOrder(shape.identities, (id << IDENTITY_BITS) + FIRST_IDENTITY);
  const order = addressOrder(shape, block);
  const synced = isCache ? ['endpointslices', 'identities', 'ip', 'nodes', 'serviceexports', 'services'] : STATE_KINDS;
  const kinds: KeyKind[] = [
    ...(isCache ? [] : [single('cilium/.heartbeat', (generation) => timeText(generation))]),
    single(`cilium/cluster-config/${name}`, () => clusterConfig(id, isCache)),
    {
      prefix: isCache ? `${base}/identities/v1/${name}/id/` : `${base}/identities/v1/id/`,
      count: shape.identities,
      name: (at) => String(numbers[at]),
      value: (at, generation) => identity(name, at, generation),
    },
    {
      prefix: isCache ? `${base}/ip/v1/${name}/` : `${base}/ip/v1/default/`,
      count: shape.endpoints,
      name: (at) => addressText(addressOf(shape, block, order[at] as number)),
      value: (at, generation) => endpoint({ shape, block, numbers, index: order[at] as number, generation }),
    },
    {
      prefix: `${base}/nodes/v1/${name}/`,
      count: shape.nodes,
      name: (at) => `node-${padded(at)}`,
      value: (at, generation) => node({ cluster: name, id, block, at, generation }),
    },
    {
      prefix: `${base}/services/v1/${name}/`,
      count: shape.services,
      name: (at) => serviceNames(at, shape.services).join('/'),
      value: (at, generation) => service({ cluster: name, id, shape, block, at, generation }),
    },
    ...synced.map((kind) => single(`cilium/synced/${name}/${base}/${kind}/v1`, timeText)),
  ];
  return kinds.sort((a, b) => (a.prefix < b.prefix ? -1 : 1));
}

function single(key: string, text: (generation: number) => string): KeyKind {
  return { prefix: key, count: 1, name: () => '', value: (_, generation) => Buffer.from(text(generation)) };
}

function timeText(generation: number): string {
  return generation === 0 ? FIRST_TIME : `${new Date(CLOCK_ORIGIN_MS + generation / 1000).toISOString().slice(0, 19)}Z`;
}

function clusterConfig(id: number, isCache: boolean): string {
  const cached = isCache ? '"cached":true,' : '';
  return `{"id":${id},"capabilities":{"syncedCanaries":true,${cached}"maxConnectedClusters":511}}`;
}

/** `count` numbers from `first` on in the byte order of their decimal text. */
function numbersInOrder(count: number, first: number): Uint32Array {
  const numbers = Array.from({ length: count }, (_, at) => first + at);
  if (String(first).length !== String(first + count).length) numbers.sort((a, b) => (String(a) < String(b) ? -1 : 1));
  return Uint32Array.from(numbers);
}

/** Endpoints are spread over the nodes in turn, each in the block of addresses of its node. */
function addressOf({ nodes }: Shape, block: number, index: number): number {
  return block + (index % nodes) * ADDRESSES_PER_NODE + 2 + Math.floor(index / nodes);
}

const orders = new Map<string, Uint32Array>();

/**
 * Indexes of endpoints in the byte order of their addresses. Clusters of one shape share it: two neighbouring values of an
 * octet of which the first is even have equally many digits.
 */
function addressOrder(shape: Shape, block: number): Uint32Array {
  const isShared = shape.nodes * ADDRESSES_PER_NODE <= BLOCK_ADDRESSES;
  const name = isShared ? `${shape.nodes}/${shape.endpoints}` : `${shape.nodes}/${shape.endpoints}/${block}`;
  const known = orders.get(name);
  if (known !== undefined) return known;
  const texts = Array.from({ length: shape.endpoints }, (_, index) => addressText(addressOf(shape, block, index)));
  const order = Uint32Array.from(texts.keys()).sort((a, b) => ((texts[a] as string) < (texts[b] as string) ? -1 : 1));
  orders.set(name, order);
  return order;
}

function addressText(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

function padded(number: number): string {
  return String(number).padStart(6, '0');
}

function hostIp(index: number): string {
  return `172.${16 + ((index >> 16) & 15)}.${(index >> 8) & 255}.${index & 255}`;
}

/** The namespaces hold consecutive services, so that the order is that of the positions. */
function serviceNames(at: number, count: number): [string, string] {
  const perNamespace = Math.ceil(count / NAMESPACES);
  return [`team-${String(Math.floor(at / perNamespace)).padStart(2, '0')}`, `svc-${padded(at)}`];
}

function identity(cluster: string, at: number, generation: number): Buffer {
  const changed = generation === 0 ? '' : `k8s:t=${stampText(generation)};`;
  return Buffer.from(
    `k8s:app=app-${at % 500};k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=team-${at % NAMESPACES};` +
      `k8s:io.cilium.k8s.policy.cluster=${cluster};k8s:io.cilium.k8s.policy.serviceaccount=default;` +
      `k8s:io.kubernetes.pod.namespace=team-${at % NAMESPACES};${changed}`,
  );
}

interface EndpointParts {
  readonly shape: Shape;
  readonly block: number;
  readonly numbers: Uint32Array;
  readonly index: number;
  readonly generation: number;
}

function endpoint({ shape, block, numbers, index, generation }: EndpointParts): Buffer {
  const id = numbers.length === 0 ? 1 : numbers[index % numbers.length];
  const pod = generation === 0 ? `${index.toString(36).padStart(5, '0')}-x7k2p` : stampText(generation);
  return Buffer.from(
    `{"IP":"${addressText(addressOf(shape, block, index))}","Mask":null,"HostIP":"${hostIp(index % shape.nodes)}","ID":${id},` +
      `"Key":0,"Metadata":"","K8sNamespace":"team-${index % NAMESPACES}","K8sPodName":"app-${index % 500}-${pod}"}`,
  );
}

interface NodeParts {
  readonly cluster: string;
  readonly id: number;
  readonly block: number;
  readonly at: number;
  readonly generation: number;
}

function node({ cluster, id, block, at, generation }: NodeParts): Buffer {
  const first = block + at * ADDRESSES_PER_NODE;
  const zone = `z${at % 3}`;
  return Buffer.from(
    JSON.stringify({
      Name: `node-${padded(at)}`,
      Cluster: cluster,
      IPAddresses: [
        { Type: 'InternalIP', IP: hostIp(at) },
        { Type: 'CiliumInternalIP', IP: addressText(first + 1) },
      ],
      IPv4AllocCIDR: { IP: addressText(first), Mask: '////gA==' },
      IPv4SecondaryAllocCIDRs: null,
      IPv6AllocCIDR: null,
      IPv4HealthIP: addressText(first + ADDRESSES_PER_NODE - 1),
      ClusterID: id,
      Source: 'custom-resource',
      EncryptionKey: 0,
      Labels: {
        'beta.kubernetes.io/arch': 'amd64',
        'beta.kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': `node-${padded(at)}`,
        'node.kubernetes.io/instance-type': 'standard-8',
        'topology.kubernetes.io/region': cluster,
        'topology.kubernetes.io/zone': zone,
      },
      Annotations: generation === 0 ? null : { t: stampText(generation) },
      WireguardPubKey: '',
      BootID: 'b7b0e0f6-9d6a-4b2e-8f2e-0d5a7c1e4f55',
    }),
  );
}

interface ServiceParts {
  readonly cluster: string;
  readonly id: number;
  readonly shape: Shape;
  readonly block: number;
  readonly at: number;
  readonly generation: number;
}

function service({ cluster, id, shape, block, at, generation }: ServiceParts): Buffer {
  const [namespace, name] = serviceNames(at, shape.services);
  const [most, frontend] = [shape.nodes * (ADDRESSES_PER_NODE - 2), `10.96.${(at >> 8) & 255}.${at & 255}`];
  const ports = '{"http":{"Protocol":"TCP","Port":8080},"metrics":{"Protocol":"TCP","Port":9090}}';
  const backends = Array.from(
    { length: shape.backends },
    (_, n) => `"${addressText(addressOf(shape, block, (at * shape.backends + n) % most))}":${ports}`,
  );
  const changed = generation === 0 ? '' : `,"t":"${stampText(generation)}"`;
  return Buffer.from(
    `{"cluster":"${cluster}","namespace":"${namespace}","name":"${name}","frontends":{"${frontend}":${ports}},` +
      `"backends":{${backends.join()}},"labels":{},"selector":{"app":"app-${at % 500}"${changed}},` +
      `"includeExternal":true,"shared":true,"clusterID":${id}}`,
  );
}

const STAMP = /@([0-9a-z]+)@/;

/** A generation as changed values have it. */
function stampText(generation: number): string {
  return `@${Math.round(generation).toString(36)}@`;
}

/** The generation of a changed value; undefined if it is of the first load. */
export function generationOf(value: Buffer): number | undefined {
  const found = STAMP.exec(value.toString('latin1'));
  return found?.[1] === undefined ? undefined : Number.parseInt(found[1], 36);
}

/** Now as a generation: microseconds of a clock that all processes of the machine share. */
export function nowGeneration(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
