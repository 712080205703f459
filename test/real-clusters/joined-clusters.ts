/** Two real clusters, joined by the chart with one CA. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { EtcdClient } from '../../src/shared/etcd/types.ts';
import { RealClusters } from '../support/cluster/clusters.ts';
import type { RealCluster } from '../support/cluster/real-cluster.ts';
import { until } from '../support/until.ts';
import { Changes, ServiceReader } from './changes.ts';
import { createConfiguration, installDefinitions, NAMESPACE } from './cilium.ts';
import { Guide } from './guide.ts';
import { type MeshClientOptions, meshClient, writeSecret } from './mesh-client.ts';

export const IMAGE = 'registry.example.org/clustermesh-apiserver:0.1.0';
export const NAMES = ['east', 'west'] as const;
export type Name = (typeof NAMES)[number];
export const NODE_PORT = 32_379;
/** A kubelet starts four containers, and probes each of them. */
export const READY = { withinMs: 180_000 };

/** Of the chart. */
export type Values = Readonly<Record<string, unknown>>;

interface Pod {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: {
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export class JoinedClusters implements AsyncDisposable {
  readonly by: Readonly<Record<Name, RealCluster>>;
  readonly guide: Guide;
  readonly #clusters: RealClusters;
  readonly #load = new AsyncDisposableStack();
  readonly #clients: { readonly client: EtcdClient; readonly name: Name; readonly options: MeshClientOptions }[] = [];

  private constructor(clusters: RealClusters, by: Readonly<Record<Name, RealCluster>>) {
    this.#clusters = clusters;
    this.by = by;
    this.guide = new Guide(clusters.directory, clusters.kubeconfigFile, {});
  }

  /** Starts the clusters, and joins them by `install`. */
  static async start(install: (joined: JoinedClusters) => Promise<void>): Promise<JoinedClusters> {
    const started = await RealClusters.start(NAMES, IMAGE);
    const joined = new JoinedClusters(started.clusters, started.by);
    try {
      await Promise.all(NAMES.map((name) => installDefinitions(joined.by[name])));
      await install(joined);
      await joined.rolledOut();
      return joined;
    } catch (error) {
      const pods = await Promise.all(NAMES.map((name) => joined.describe(name)));
      await joined[Symbol.asyncDispose]();
      throw new Error(`${String(error)}\n${pods.join('\n')}`);
    }
  }

  /** Installs the chart in both clusters, with these values on top of what joins them. */
  async installChart(values: Readonly<Record<Name, Values>>): Promise<void> {
    for (const name of NAMES) await createConfiguration(this.by[name]);
    await this.install('east', values.east);
    await this.copyAuthority();
    await this.install('west', values.west);
  }

  get directory(): string {
    return this.#clusters.directory;
  }

  /** Installs the chart, or upgrades it. */
  async install(name: Name, values: Values): Promise<void> {
    const other = NAMES.find((each) => each !== name) as Name;
    const own = {
      cluster: { name, id: this.by[name].number },
      image: { override: IMAGE },
      service: { type: 'NodePort', nodePort: NODE_PORT },
      mesh: { clusters: { [other]: { ips: [this.by[other].nodeAddress], port: NODE_PORT } } },
      tls: { server: { extraIpAddresses: [this.by[name].nodeAddress] } },
    };
    writeFileSync(join(this.directory, `${name}.yaml`), stringify(own));
    writeFileSync(join(this.directory, 'more.yaml'), stringify(values));
    const flags = `--kube-context ${name} --namespace ${NAMESPACE} --values ${name}.yaml --values more.yaml`;
    await this.guide.run(`helm upgrade --install clustermesh-apiserver charts/clustermesh-apiserver ${flags}`);
  }

  /** As docs/install.md has it. */
  async copyAuthority(): Promise<void> {
    const path = `/api/v1/namespaces/${NAMESPACE}/secrets/cilium-ca`;
    const authority = await until('the CA exists', () => this.by.east.requests.get(path), READY);
    const { data, type } = authority as { readonly data: object; readonly type: string };
    const { requests } = this.by.west;
    const copy = { metadata: { name: 'cilium-ca' }, data, type };
    if ((await requests.get(path)) === undefined) await requests.create(path.slice(0, path.lastIndexOf('/')), copy);
    else await requests.replace(path, copy);
  }

  async kubectl(name: Name, command: string): Promise<string> {
    return await this.guide.run(`kubectl --context ${name} --namespace ${NAMESPACE} ${command}`);
  }

  /** Waits for the end of the rollouts under way. */
  async rolledOut(names: readonly Name[] = NAMES): Promise<void> {
    const wait = `rollout status --timeout=${READY.withinMs / 1000}s`;
    await Promise.all(
      names.map(async (name) => {
        const [workload] = (await this.kubectl(name, 'get deployment,statefulset --output=name')).split('\n');
        await this.kubectl(name, `${wait} ${workload}`);
      }),
    );
  }

  /** The Pods of the mesh that are not being deleted. */
  async pods(name: Name): Promise<readonly Pod[]> {
    const selector = encodeURIComponent('k8s-app=clustermesh-apiserver');
    const list = await this.by[name].requests.get(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=${selector}`);
    const { items } = list as { readonly items: readonly Pod[] };
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  /** What a Pod of the mesh serves on that port. */
  async fetch(name: Name, port: number, path: string): Promise<string> {
    const [pod] = await this.pods(name);
    const response = await fetch(`http://${pod?.status.podIP}:${port}${path}`);
    return await response.text();
  }

  /** A client of the etcd of that cluster, as its agents or other clusters connect; closed with the clusters. */
  async client(name: Name, user: MeshClientOptions['user']): Promise<EtcdClient> {
    const options = { user, port: NODE_PORT, directory: this.directory };
    const client = await meshClient(this.by[name], options);
    this.#clients.push({ client, name, options });
    return client;
  }

  /** Starts changes in east, and a reader of the mirror in west that has seen them; they end with the clusters. */
  async underChanges(): Promise<{ readonly changes: Changes; readonly reader: ServiceReader }> {
    const changes = this.#load.use(await Changes.start(this.by.east));
    const reader = this.#load.use(new ServiceReader(await this.client('west', 'local'), 'east'));
    await reader.hasAll(changes);
    return { changes, reader };
  }

  /** Gives the clients the certificates that their Secrets have now. */
  async renewClients(): Promise<void> {
    for (const { name, options } of this.#clients) await writeSecret(this.by[name], options);
  }

  /** For messages: Pods, their events, and the end of their logs. */
  async describe(name: Name): Promise<string> {
    const parts = await Promise.all([
      this.kubectl(name, 'get pods,events').catch(String),
      this.kubectl(name, 'logs --all-containers --prefix --tail=20 --selector k8s-app=clustermesh-apiserver').catch(String),
    ]);
    return parts.join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#load.disposeAsync();
    } finally {
      for (const { client } of this.#clients) client.close();
      await this.#clusters[Symbol.asyncDispose]();
    }
  }
}
