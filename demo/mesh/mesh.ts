/**
 * Two clusters, each of which mirrors the other over a link that can be cut. Everything is on the
 * loopback interface, below one temporary directory, and gone at the end.
 */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, type ClusterName, startCluster } from './cluster.ts';
import { difference, type ExportedState, expectedState, foundState } from './etcd-contents/exported-state.ts';
import { Link } from './link.ts';
import type { EtcdBinary } from './processes/etcd-binary.ts';
import { Guardian } from './processes/guardian.ts';
import type { MeshProcess, ProcessHost } from './processes/mesh-process.ts';
import { findPrometheus, Prometheus } from './processes/prometheus.ts';

export interface MeshOptions {
  readonly etcd: EtcdBinary;
  /** The PATH of the user. */
  readonly path: string;
  /** Kubeconfigs of real clusters; a cluster that is not named gets an embedded API. */
  readonly kubeconfigs: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

export interface RemoteStatus {
  readonly connected: boolean;
  readonly ready: boolean;
  /** What is wrong, in the words of kvstoremesh. */
  readonly reason: string | undefined;
}

export class Mesh {
  readonly directory: string;
  readonly #options: MeshOptions;
  readonly #closing = new AsyncDisposableStack();
  readonly #guardian: Guardian;
  readonly #broken = new AbortController();
  readonly #signal: AbortSignal;
  #onEnd = (_process: MeshProcess, error: Error): void => this.#broken.abort(error);
  readonly #links: Link[] = [];
  #clusters: readonly [Cluster, Cluster] | undefined;
  /** What each cluster showed when the links were cut; empty while they are not. */
  readonly #shownAtCut = new Map<ClusterName, ExportedState>();

  constructor(options: MeshOptions) {
    this.#options = options;
    this.directory = mkdtempSync(join(tmpdir(), 'mesh-demo-'));
    this.#guardian = new Guardian(this.directory);
    this.#signal = AbortSignal.any([options.signal, this.#broken.signal]);
  }

  /** Resolves when all but the daemons is up. `stop` has to be called in any case. */
  async start(): Promise<void> {
    const { etcd, path, kubeconfigs } = this.#options;
    const host = this.#host;
    const start = (name: ClusterName) =>
      startCluster({
        name,
        kubeconfig: kubeconfigs.get(name),
        etcd,
        path,
        directory: this.directory,
        host,
        closing: this.#closing,
        signal: this.#signal,
      });
    // Wait for both, so that both stop what they have started.
    const [east, west] = await Promise.allSettled([start('east'), start('west')]);
    if (east.status === 'rejected') throw east.reason;
    if (west.status === 'rejected') throw west.reason;
    this.#clusters = [east.value, west.value];
    for (const cluster of this.#clusters) {
      const other = this.other(cluster);
      const link = await Link.to(other.etcd.port);
      this.#closing.defer(() => link.close());
      this.#links.push(link);
      await cluster.addRemote(other.name, link.port);
    }
  }

  get #host(): ProcessHost {
    return { guardian: this.#guardian, onUnexpectedEnd: (process, error) => this.#onEnd(process, error) };
  }

  /** Starts a Prometheus that scrapes the kvstoremesh of `cluster`; undefined where this machine has none. */
  async prometheusOf({ kvstoremesh }: Cluster): Promise<Prometheus | undefined> {
    const path = findPrometheus({ PATH: this.#options.path });
    if (path === undefined) return undefined;
    const directory = join(this.directory, 'prometheus');
    mkdirSync(directory);
    const { host: target } = new URL(kvstoremesh.metricsUrl);
    const prometheus = await Prometheus.start({ path, directory, target, host: this.#host, signal: this.#signal });
    this.#closing.defer(() => prometheus.process.kill());
    return prometheus;
  }

  /** The port of the link that leads to the etcd of `cluster`. */
  linkPort(cluster: Cluster): number {
    const link = this.#links[this.clusters.indexOf(this.other(cluster))];
    if (link === undefined) throw new TypeError('the mesh is not up');
    return link.port;
  }

  /** Aborted when the demo is interrupted, or when a process of the mesh has ended although it should run. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** From now on an unexpected exit does not fail the mesh; `listener` is called. */
  tolerateEnds(listener: (process: MeshProcess, error: Error) => void): void {
    this.#onEnd = listener;
  }

  /** East, then west. */
  get clusters(): readonly [Cluster, Cluster] {
    if (this.#clusters === undefined) throw new TypeError('the mesh is not up');
    return this.#clusters;
  }

  get east(): Cluster {
    return this.clusters[0];
  }

  get west(): Cluster {
    return this.clusters[1];
  }

  other(cluster: Cluster): Cluster {
    return cluster === this.east ? this.west : this.east;
  }

  /** Processes that were started so far. */
  get processes(): readonly MeshProcess[] {
    return (this.#clusters ?? []).flatMap(({ etcd, apiserver, kvstoremesh }) => [
      etcd.process,
      apiserver.process,
      kvstoremesh.process,
    ]);
  }

  /**
   * The differences between the etcd of `cluster` and its expected state: the exports of the cluster, and the
   * keys of the other one, which while the links are cut are those of the moment before.
   */
  problemOf(cluster: Cluster): string | undefined {
    const other = this.other(cluster);
    const { values } = cluster.observer;
    const own = difference(expectedState(cluster.workload), foundState(values, 'state', cluster.name, cluster.workload.scope));
    const known = this.#shownAtCut.get(other.name) ?? expectedState(other.workload);
    const mirrored = difference(known, this.knownTo(cluster));
    const problems = [
      ...(own === undefined ? [] : [`of ${cluster.name} itself ${own}`]),
      ...(mirrored === undefined ? [] : [`of ${other.name} ${mirrored}`]),
    ];
    return problems.length === 0 ? undefined : `in ${cluster.name}'s etcd: ${problems.join('; ')}`;
  }

  /** The state of the other cluster in the etcd of `cluster`. */
  knownTo(cluster: Cluster): ExportedState {
    const other = this.other(cluster);
    return foundState(cluster.observer.values, 'cache', other.name, other.workload.scope);
  }

  /** The number of nodes of the other cluster in the etcd of `cluster`. */
  nodesKnownTo(cluster: Cluster): number {
    const prefix = `cilium/cache/nodes/v1/${this.other(cluster).name}/`;
    return [...cluster.observer.values.keys()].filter((key) => key.startsWith(prefix)).length;
  }

  /** The status of the other cluster from the kvstoremesh of `cluster`. */
  async statusAt(cluster: Cluster): Promise<RemoteStatus> {
    const answer = await fetch(cluster.statusUrl, { signal: this.#signal });
    const remotes = (await answer.json()) as readonly Partial<RemoteStatus & { name: string }>[];
    const remote = remotes.find(({ name }) => name === this.other(cluster).name);
    return { connected: remote?.connected === true, ready: remote?.ready === true, reason: remote?.reason };
  }

  cutLinks(): void {
    for (const { name, workload } of this.clusters) this.#shownAtCut.set(name, expectedState(workload));
    for (const link of this.#links) link.cut();
  }

  restoreLinks(): void {
    this.#shownAtCut.clear();
    for (const link of this.#links) link.restore();
  }

  /** Ends every process, deletes what was created in real clusters, removes the directory. Idempotent. */
  async stop(): Promise<void> {
    try {
      await this.#closing.disposeAsync();
    } catch (thrown) {
      let first: unknown = thrown;
      while (first instanceof SuppressedError) first = first.suppressed;
      throw first;
    } finally {
      await this.#guardian.end();
    }
  }
}
