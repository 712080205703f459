/**
 * The real clusters of a test file. Test files take turns, across processes: they use the same addresses, and two nodes keep a small
 * machine busy.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { until } from '../until.ts';
import { LOCAL_IMAGE, projectImage, writePauseImage } from './images.ts';
import { NameServer } from './name-server.ts';
import { addressesOf, makeBridge } from './node-network.ts';
import { RealCluster } from './real-cluster.ts';

const LOCK = '/run/kubernetes-test-clusters.lock';
const TURN_MS = 15 * 60_000;
/** Directories that kubelet, containerd and CNI plugins make whatever their flags say. */
const FIXED_DIRECTORIES = [
  '/run/containerd',
  '/usr/libexec/kubernetes',
  '/var/lib/cni',
  '/var/lib/kubelet',
  '/var/log/containers',
];

export class RealClusters implements AsyncDisposable {
  /** Temporary files: `kubeconfig` has a context for each cluster, `NAME.kubeconfig` is of one of them. */
  readonly directory = mkdtempSync(join(tmpdir(), 'clusters-'));
  readonly #stack = new AsyncDisposableStack();

  /**
   * Waits for its turn, and starts clusters of these names, numbered from 1, whose nodes have the image of the project, also by the
   * name `alias`.
   */
  static async start<Name extends string>(
    names: readonly Name[],
    alias: string,
  ): Promise<{ clusters: RealClusters; by: Readonly<Record<Name, RealCluster>> }> {
    const clusters = new RealClusters();
    try {
      const image = await projectImage();
      await takeTurn();
      clusters.#stack.defer(() => rmSync(LOCK, { recursive: true, force: true }));
      const made = FIXED_DIRECTORIES.filter((path) => !existsSync(path));
      clusters.#stack.defer(() => {
        for (const path of made) rmSync(path, { recursive: true, force: true });
      });
      clusters.#stack.defer(makeBridge());
      const nameServer = clusters.#stack.use(await NameServer.start());
      const pause = join(clusters.directory, 'pause.tar');
      writePauseImage(pause);
      const started = await Promise.all(
        names.map(async (name, i) => {
          const cluster = clusters.#stack.use(await RealCluster.start(name, i + 1));
          const { node, pods } = addressesOf(i + 1);
          nameServer.serve([node, pods.slice(0, pods.lastIndexOf('.') + 1)], cluster.requests);
          await cluster.importImages(pause);
          await cluster.importImages(image);
          await cluster.tagImage(LOCAL_IMAGE, alias);
          return [name, cluster] as const;
        }),
      );
      const by = Object.fromEntries(started) as Record<Name, RealCluster>;
      clusters.#writeKubeconfig(started.map(([, cluster]) => cluster));
      return { clusters, by };
    } catch (error) {
      await clusters[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Of all clusters; the first one is the current context. */
  get kubeconfigFile(): string {
    return join(this.directory, 'kubeconfig');
  }

  #writeKubeconfig(clusters: readonly RealCluster[]): void {
    const parts = clusters.map((cluster) => cluster.kubeconfig() as Record<'clusters' | 'users' | 'contexts', readonly object[]>);
    const all = (key: 'clusters' | 'users' | 'contexts') => parts.flatMap((part) => part[key]);
    const merged = { clusters: all('clusters'), users: all('users'), contexts: all('contexts') };
    const text = stringify({ apiVersion: 'v1', kind: 'Config', ...merged, 'current-context': clusters[0]?.name });
    writeFileSync(this.kubeconfigFile, text, { mode: 0o600 });
    for (const cluster of clusters)
      writeFileSync(join(this.directory, `${cluster.name}.kubeconfig`), stringify(cluster.kubeconfig()), { mode: 0o600 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function takeTurn(): Promise<void> {
  await until('another test file has ended its clusters', takeLock, { withinMs: TURN_MS });
}

function takeLock(): boolean {
  try {
    mkdirSync(LOCK);
  } catch {
    const owner = Number(readFileSync(join(LOCK, 'pid'), 'utf8'));
    if (isAlive(owner)) return false;
    rmSync(LOCK, { recursive: true });
    mkdirSync(LOCK);
  }
  writeFileSync(join(LOCK, 'pid'), String(process.pid));
  return true;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
