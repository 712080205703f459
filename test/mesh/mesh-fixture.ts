/** Two kube-apiservers as the clusters east and west, one kubeconfig for both, and a namespace of each for every test. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { parse, stringify } from 'yaml';
import { generateFlagTable } from '../../src/certs/flags.ts';
import { generate } from '../../src/certs/generate.ts';
import type { MeshReport } from '../../src/mesh/connect/changes.ts';
import { connect } from '../../src/mesh/connect/connect.ts';
import { disconnect } from '../../src/mesh/connect/disconnect.ts';
import { connectFlagTable, disconnectFlagTable } from '../../src/mesh/flags.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { silentLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';
import { type KubernetesProvider, startKubernetes } from '../support/kubernetes/kubernetes-provider.ts';

export type Side = 'east' | 'west';

export const HELM = {
  labels: { 'app.kubernetes.io/managed-by': 'Helm' },
  annotations: { 'meta.helm.sh/release-name': 'cilium', 'meta.helm.sh/release-namespace': 'kube-system' },
};

interface Sides<T> {
  readonly east: T;
  readonly west: T;
}

interface SecretObject {
  readonly metadata: { readonly resourceVersion: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

const PORTS: Sides<number> = { east: 32_379, west: 32_380 };
/** What the nodes of a cluster have; created once for all tests. */
const NODES: Sides<readonly string[]> = { east: ['192.0.2.11', '192.0.2.12'], west: ['192.0.2.21', '192.0.2.22'] };

class MeshWorld implements AsyncDisposable {
  readonly servers: Sides<KubernetesProvider>;
  readonly directory = mkdtempSync(join(tmpdir(), 'mesh-test-'));
  readonly kubeconfig = join(this.directory, 'kubeconfig');

  private constructor(servers: Sides<KubernetesProvider>) {
    this.servers = servers;
    writeFileSync(this.kubeconfig, mergedKubeconfig(servers), { mode: 0o600 });
  }

  static async start(): Promise<MeshWorld> {
    const [east, west] = await Promise.all([startKubernetes('real'), startKubernetes('real')]);
    const world = new MeshWorld({ east, west });
    for (const side of ['east', 'west'] as const)
      for (const [index, address] of NODES[side].entries()) {
        const path = '/api/v1/nodes';
        await world.servers[side].requests.create(path, { metadata: { name: `${side}-${index}` } });
        const addresses = [{ type: 'InternalIP', address }];
        await world.servers[side].requests.patch(`${path}/${side}-${index}/status`, 'merge-patch', { status: { addresses } });
      }
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.servers.east.stop(), this.servers.west.stop()]);
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function mergedKubeconfig(servers: Sides<KubernetesProvider>): string {
  const configs = (['east', 'west'] as const).map((name) => {
    const { clusters, users } = parse(readFileSync(servers[name].kubeconfigFile, 'utf8'));
    return {
      cluster: { name, cluster: clusters[0].cluster },
      user: { name, user: users[0].user },
      context: { name, context: { cluster: name, user: name } },
    };
  });
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: configs.map(({ cluster }) => cluster),
    users: configs.map(({ user }) => user),
    contexts: configs.map(({ context }) => context),
    'current-context': 'east',
  });
}

/** A namespace of both clusters with what an installation of Cilium and clustermesh-apiserver has there. */
export class Mesh {
  readonly namespace: string;
  readonly kubeconfig: string;
  readonly servers: Sides<KubernetesProvider>;

  constructor(world: MeshWorld, namespace: string) {
    this.namespace = namespace;
    this.kubeconfig = world.kubeconfig;
    this.servers = world.servers;
  }

  async connect(...argv: readonly string[]): Promise<MeshReport> {
    const parsed = parseFlags(connectFlagTable, [...this.argv('--destination-context=west'), ...argv], {});
    if (parsed === 'help') throw new Error('it was not asked for help');
    return connect(parsed.values, { signal: AbortSignal.timeout(60_000) });
  }

  async disconnect(...argv: readonly string[]): Promise<MeshReport> {
    const parsed = parseFlags(disconnectFlagTable, [...this.argv(), ...argv], {});
    if (parsed === 'help') throw new Error('it was not asked for help');
    return disconnect(parsed.values, { signal: AbortSignal.timeout(60_000) });
  }

  argv(...more: readonly string[]): readonly string[] {
    return [`--kubeconfig=${this.kubeconfig}`, `--namespace=${this.namespace}`, '--context=east', ...more];
  }

  path(plural: string, name = ''): string {
    return `/api/v1/namespaces/${this.namespace}/${plural}${name === '' ? '' : `/${name}`}`;
  }

  async secret(side: Side, name: string): Promise<SecretObject | undefined> {
    return (await this.servers[side].requests.get(this.path('secrets', name))) as SecretObject | undefined;
  }

  /** Decoded values of a Secret; undefined where it does not exist. */
  async entries(side: Side, name: string): Promise<Readonly<Record<string, string>> | undefined> {
    const secret = await this.secret(side, name);
    if (secret === undefined) return undefined;
    const data = Object.entries(secret.data ?? {});
    return Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  async create(side: Side, plural: string, object: object): Promise<void> {
    await this.servers[side].requests.create(this.path(plural), object);
  }

  async patch(side: Side, plural: string, name: string, patch: object): Promise<void> {
    await this.servers[side].requests.patch(this.path(plural, name), 'merge-patch', patch);
  }

  async install(side: Side, { hasKvstoreMesh = true } = {}): Promise<void> {
    const { requests } = this.servers[side];
    await requests.create('/api/v1/namespaces', { metadata: { name: this.namespace } });
    const data = { 'cluster-name': side, 'cluster-id': side === 'east' ? '1' : '2', 'max-connected-clusters': '255' };
    await this.create(side, 'configmaps', { metadata: { name: 'cilium-config' }, data });
    await this.create(side, 'services', {
      metadata: { name: 'clustermesh-apiserver' },
      spec: { type: 'ClusterIP', selector: { 'k8s-app': 'clustermesh-apiserver' }, ports: [{ port: 2379 }] },
    });
    const containers = ['apiserver', ...(hasKvstoreMesh ? ['kvstoremesh'] : [])].map((name) => ({ name, image: 'none' }));
    const labels = { 'k8s-app': 'clustermesh-apiserver' };
    await requests.create(`/apis/apps/v1/namespaces/${this.namespace}/deployments`, {
      metadata: { name: 'clustermesh-apiserver' },
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
    });
  }

  /** Service of type NodePort with the given port, for the tests of one such cluster at a time: node ports are unique. */
  async withNodePort<T>(side: Side, test: () => Promise<T>): Promise<T> {
    const spec = (type: string, nodePort: number | null) => ({ spec: { type, ports: [{ port: 2379, nodePort }] } });
    await this.patch(side, 'services', 'clustermesh-apiserver', spec('NodePort', PORTS[side]));
    try {
      return await test();
    } finally {
      await this.patch(side, 'services', 'clustermesh-apiserver', spec('ClusterIP', null));
    }
  }

  /** The certificates of `side`; `from` shares its CA, which has been created before. */
  async certificates(side: Side, from?: Side, ...argv: readonly string[]): Promise<void> {
    if (from !== undefined) {
      const ca = await this.secret(from, 'cilium-ca');
      await this.create(side, 'secrets', { metadata: { name: 'cilium-ca' }, data: ca?.data ?? {} });
    }
    const own = [`--k8s-kubeconfig-path=${this.servers[side].kubeconfigFile}`, `--namespace=${this.namespace}`];
    const flags = parseFlags(generateFlagTable, [...own, `--cluster-name=${side}`, '--k8s-client-qps=0', ...argv], {});
    if (flags === 'help') throw new Error('it was not asked for help');
    await generate(flags.values, { log: silentLogger, clock: systemClock, signal: AbortSignal.timeout(60_000) });
  }
}

/** Meshes for the tests of the suite around the call. */
export function meshFixture(): { installed(options?: { readonly hasKvstoreMesh?: boolean }): Promise<Mesh>; empty(): Mesh } {
  let world: MeshWorld | undefined;
  let namespaces = 0;
  beforeAll(async () => {
    world = await MeshWorld.start();
  }, 180_000);
  afterAll(() => world?.[Symbol.asyncDispose]());
  const empty = () => {
    namespaces += 1;
    return new Mesh(world as MeshWorld, `mesh-${namespaces}`);
  };
  return {
    empty,
    async installed(options) {
      const mesh = empty();
      await Promise.all([mesh.install('east', options), mesh.install('west', options)]);
      await mesh.certificates('east');
      await mesh.certificates('west', 'east');
      return mesh;
    },
  };
}
