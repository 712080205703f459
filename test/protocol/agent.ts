/**
 * A reader of the local etcd that keeps the contract of a Cilium agent (and of its operator), written on its own and
 * over another client than ours: what it imports is what agents would import, and what it refuses they would refuse.
 */
import { Etcd3, type IKeyValue, type Watcher } from 'etcd3';
import { until } from '../support/until.ts';

/** What the agents of a release read; a member of a cluster config that is not named is not known to them. */
export interface Release {
  readonly version: string;
  readonly kinds: readonly Kind[];
  readonly capabilities: readonly string[];
}

type Kind = 'nodes' | 'ip' | 'identities' | 'services' | 'serviceexports' | 'endpointslices';

const FIRST = {
  kinds: ['nodes', 'ip', 'identities', 'services'],
  capabilities: ['syncedCanaries', 'cached', 'maxConnectedClusters'],
} as const;
const WITH_EXPORTS = {
  kinds: [...FIRST.kinds, 'serviceexports'],
  capabilities: [...FIRST.capabilities, 'serviceExportsEnabled'],
} as const;
const WITH_SLICES = {
  kinds: [...WITH_EXPORTS.kinds, 'endpointslices'],
  capabilities: [...WITH_EXPORTS.capabilities, 'endpointSlicesExportMode'],
} as const;

export const RELEASES: readonly Release[] = [
  { version: '1.15', ...FIRST },
  { version: '1.16', ...FIRST },
  { version: '1.17', ...WITH_EXPORTS },
  { version: '1.18', ...WITH_EXPORTS },
  { version: '1.19', ...WITH_EXPORTS },
  { version: '1.20', ...WITH_SLICES },
];

const MODES = ['', 'services-and-endpointslices', 'endpointslices-only'];
const MAX_CLUSTER_ID = 255;
const IDENTITY_BITS = 16;
const RESERVED_IDENTITIES = 256;

interface ClusterConfig {
  readonly id?: number;
  readonly capabilities: Readonly<Record<string, unknown>>;
}

export class Agent implements AsyncDisposable {
  /** Keys without their prefix, by kind. */
  readonly imported = new Map<Kind, Map<string, Buffer>>();
  readonly refused: string[] = [];
  readonly #release: Release;
  readonly #ownId: number;
  readonly #etcd: Etcd3;
  readonly #watchers: Watcher[] = [];

  constructor(release: Release, endpoint: string, ownId: number) {
    this.#release = release;
    this.#ownId = ownId;
    this.#etcd = new Etcd3({ hosts: endpoint });
  }

  /** Resolves when all keys of `cluster` that the release reads are imported, and continues to follow it. */
  async connect(cluster: string): Promise<void> {
    const heartbeat = await until('the heartbeat is there', () => this.#etcd.get('cilium/.heartbeat').string());
    if (Number.isNaN(Date.parse(heartbeat))) throw new Error(`the heartbeat is no time: ${heartbeat}`);
    const id = await this.#config(cluster);
    for (const kind of this.#release.kinds) {
      const canary = `cilium/synced/${cluster}/cilium/cache/${kind}/v1`;
      await until(`there is ${canary}`, () => this.#etcd.get(canary).exists());
      await this.#follow(kind, cluster, id);
    }
  }

  count(kind: Kind): number {
    return this.imported.get(kind)?.size ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const watcher of this.#watchers) await watcher.cancel();
    this.#etcd.close();
  }

  /** The ID of the cluster, if it is acceptable. */
  async #config(cluster: string): Promise<number> {
    const text = await until('there is a cluster config', () => this.#etcd.get(`cilium/cluster-config/${cluster}`).string());
    const { id = 0, capabilities } = JSON.parse(text) as ClusterConfig;
    const known = Object.fromEntries(this.#release.capabilities.map((name) => [name, capabilities[name]]));
    if (!Number.isInteger(id) || id < 1 || id > MAX_CLUSTER_ID || id === this.#ownId) throw new Error(`the ID ${id} is refused`);
    if (known.cached !== true || known.syncedCanaries !== true) throw new Error('the cluster is not told as mirrored');
    if (![undefined, 255, 511].includes(known.maxConnectedClusters as number)) throw new Error('maxConnectedClusters is refused');
    if (![undefined, true, false].includes(known.serviceExportsEnabled as boolean))
      throw new Error('serviceExportsEnabled is refused');
    if (!MODES.includes((known.endpointSlicesExportMode ?? '') as string)) throw new Error('the export mode is refused');
    return id;
  }

  async #follow(kind: Kind, cluster: string, id: number): Promise<void> {
    const records = new Map<string, Buffer>();
    this.imported.set(kind, records);
    const prefix = kind === 'identities' ? `cilium/cache/identities/v1/${cluster}/id/` : `cilium/cache/${kind}/v1/${cluster}/`;
    const own = ({ key }: IKeyValue) => key.toString().slice(prefix.length);
    const take = (keyValue: IKeyValue) => {
      const problem = problemOf(kind, own(keyValue), keyValue.value, cluster, id);
      if (problem === undefined) records.set(own(keyValue), keyValue.value);
      else this.refused.push(`${keyValue.key}: ${problem}`);
    };
    const { header, kvs } = await this.#etcd.getAll().prefix(prefix).exec();
    for (const keyValue of kvs) take(keyValue);
    const next = String(BigInt(header.revision) + 1n);
    const watcher = await this.#etcd.watch().prefix(prefix).startRevision(next).create();
    this.#watchers.push(watcher);
    watcher.on('put', take);
    watcher.on('delete', (keyValue) => void records.delete(own(keyValue)));
  }
}

/** Why an agent would not import the record; undefined where it would. */
function problemOf(kind: Kind, own: string, value: Buffer, cluster: string, id: number): string | undefined {
  const text = value.toString();
  const inRange = (identity: number) => identity >> IDENTITY_BITS === id;
  switch (kind) {
    case 'nodes': {
      const node = JSON.parse(text) as { Name: string; Cluster: string; ClusterID: number };
      if (node.Name !== own) return `it names the node ${node.Name}`;
      return node.Cluster === cluster && node.ClusterID === id ? undefined : `it is of cluster ${node.Cluster} ${node.ClusterID}`;
    }
    case 'services': {
      const service = JSON.parse(text) as { cluster: string; namespace: string; name: string; clusterID: number };
      if (`${service.namespace}/${service.name}` !== own) return `it names the service ${service.namespace}/${service.name}`;
      return service.cluster === cluster && service.clusterID === id ? undefined : `it is of cluster ${service.cluster}`;
    }
    case 'identities': {
      if (!inRange(Number(own))) return 'it is out of the range of the cluster';
      return text.split(';').includes(`k8s:io.cilium.k8s.policy.cluster=${cluster}`) ? undefined : 'it lacks the cluster label';
    }
    case 'ip': {
      const pair = JSON.parse(text) as { IP: string; Mask: string | null; ID: number };
      if (own !== pair.IP && !own.startsWith(`${pair.IP}/`)) return `it names the address ${pair.IP}`;
      return inRange(pair.ID) || pair.ID < RESERVED_IDENTITIES ? undefined : `its identity ${pair.ID} is out of range`;
    }
    case 'serviceexports': {
      const exported = JSON.parse(text) as { cluster: string; namespace: string; name: string };
      return exported.cluster === cluster && `${exported.namespace}/${exported.name}` === own
        ? undefined
        : 'it names another export';
    }
    case 'endpointslices':
      // The magic number of Zstandard, in which the operator expects them.
      return value.readUInt32LE() === 0xfd2fb528 ? undefined : 'it is not compressed';
  }
}
