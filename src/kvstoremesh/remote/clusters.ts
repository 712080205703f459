/**
 * The remote clusters of this daemon, as in the configuration directory.
 *
 * A cluster whose file was removed is no longer listed and is drained in the background. If its file
 * returns, it is connected only after the drain: agents must see the complete removal.
 * Keys that an earlier run left of clusters without a file are drained in the same way.
 */

import { clusterConfigKey } from '../../shared/etcd/keyspace.ts';
import type { Logger } from '../../shared/process/log.ts';
import { TaskScope } from '../../shared/process/task-scope.ts';
import { onAbort } from '../../shared/time/abort.ts';
import type { ConfigChange } from '../configuration/config-directory.ts';
import type { Quarantine } from '../configuration/quarantine.ts';
import { ListTurns } from '../mirror/list-turns.ts';
import { WithdrawalBrake } from '../removal/cache-ttl.ts';
import { drainCluster } from '../removal/drain.ts';
import { RemoteCluster } from './cluster.ts';
import type { RemoteClusterContext } from './context.ts';

/** Of the keys of a cluster that is no longer configured; `kept` is the last one where nothing is removed. */
export type RemovalStep = 'kept' | 'draining' | 'drained';

export interface RemoteClustersOptions {
  readonly context: Omit<RemoteClusterContext, 'brake' | 'turns' | 'remotes'>;
  /** Nothing of the cluster runs any more; called again when its keys are gone. */
  readonly onEnded?: (cluster: string) => void;
  /** The removal of a cluster has come to this step. */
  readonly onRemoval?: ((cluster: string, step: RemovalStep) => void) | undefined;
  /** Undefined: nothing is removed when a cluster's file goes. */
  readonly drainGraceMs: number | undefined;
  readonly signal: AbortSignal;
}

interface Running {
  readonly kind: 'running';
  readonly remote: RemoteCluster;
  readonly scope: TaskScope;
}

interface Draining {
  readonly kind: 'draining';
  /** Releases the keys; may be called again. */
  readonly release: () => void;
  /** The path of the file that has returned. */
  returned: string | undefined;
}

export class RemoteClusters {
  readonly #options: RemoteClustersOptions;
  readonly #context: RemoteClusterContext;
  readonly #scope: TaskScope;
  readonly #entries = new Map<string, Running | Draining>();
  /** Also of clusters that are not configured. */
  readonly #quarantines = new Map<string, Quarantine>();
  /** The running ones, cached until one is added or removed: each status and each metric needs them. */
  #all: readonly RemoteCluster[] | undefined;

  constructor(options: RemoteClustersOptions) {
    this.#options = options;
    const { context } = options;
    const running = () => this.all.length;
    this.#context = { ...context, remotes: running, brake: new WithdrawalBrake(running), turns: new ListTurns(context.clock) };
    this.#scope = new TaskScope(options.signal);
    const onPolicy = () => {
      for (const remote of this.all) remote.policyChanged();
    };
    const forget = context.policy?.onChange(onPolicy);
    if (forget !== undefined) onAbort(options.signal, forget);
  }

  /** Those that are configured, by name. One that is being drained is none of them. */
  get all(): readonly RemoteCluster[] {
    this.#all ??= [...this.#entries.values()]
      .flatMap((entry) => (entry.kind === 'running' ? [entry.remote] : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#all;
  }

  /** Those that are being removed, by name. */
  get draining(): readonly string[] {
    return [...this.#entries].flatMap(([cluster, { kind }]) => (kind === 'draining' ? [cluster] : [])).sort();
  }

  apply(change: ConfigChange): void {
    const entry = this.#entries.get(change.cluster);
    if (change.kind === 'quarantine') this.#onQuarantine(change.cluster, entry, change.quarantine);
    else if (change.kind === 'removed') this.#onRemoved(change.cluster, entry);
    else if (change.kind === 'readable') this.#setFileProblem(entry, undefined);
    else if (entry?.kind === 'draining') this.#onReturned(entry, change);
    else if (change.kind === 'unreadable') this.#setFileProblem(entry ?? this.#add(change.cluster, change.path), change.problem);
    else if (entry === undefined) this.#add(change.cluster, change.path);
    else {
      this.#setFileProblem(entry, undefined);
      entry.remote.reconnect();
    }
  }

  /** Drains those of `clusters` that are not configured; they have keys in the local etcd although no file names them. */
  removeOrphans(clusters: Iterable<string>): void {
    const { drainGraceMs, context } = this.#options;
    const { own, publisher } = context;
    if (drainGraceMs === undefined) return;
    for (const cluster of clusters) {
      if (cluster === own.name || this.#entries.has(cluster)) continue;
      this.#logOf(cluster).warn('found keys of a cluster that is no longer configured; removing them');
      this.#remove(
        cluster,
        () => publisher.singles.release(clusterConfigKey(cluster)),
        () => Promise.resolve(),
      );
    }
  }

  /** Rejects with what went wrong, or with the signal's reason, when nothing of any cluster runs any more. */
  async ended(): Promise<never> {
    throw await this.#scope.ended();
  }

  /** The keys of all clusters stay and are no longer maintained. Only after `ended` has rejected. */
  release(): void {
    for (const [cluster, entry] of this.#entries) {
      if (entry.kind === 'running') entry.remote.release();
      else entry.release();
      this.#options.onEnded?.(cluster);
      this.#context.reader?.gone(cluster);
    }
    this.#entries.clear();
    this.#all = undefined;
  }

  #onQuarantine(cluster: string, entry: Running | Draining | undefined, quarantine: Quarantine | undefined): void {
    if (quarantine === undefined) this.#quarantines.delete(cluster);
    else this.#quarantines.set(cluster, quarantine);
    if (entry?.kind === 'running') entry.remote.quarantine.set(quarantine);
  }

  #onRemoved(cluster: string, entry: Running | Draining | undefined): void {
    if (entry?.kind === 'draining') entry.returned = undefined;
    if (entry?.kind !== 'running') return;
    const { remote, scope } = entry;
    this.#remove(
      cluster,
      () => remote.release(),
      () => scope.end(),
    );
  }

  #onReturned(entry: Draining, { cluster, path }: { readonly cluster: string; readonly path: string }): void {
    if (entry.returned === undefined) {
      this.#logOf(cluster).info('remote cluster added again during its removal; connecting once its keys are removed');
      this.#context.reader?.news(cluster, { kind: 'returned' });
    }
    entry.returned = path;
  }

  #setFileProblem(entry: Running | Draining | undefined, problem: string | undefined): void {
    if (entry?.kind !== 'running') return;
    const { remote } = entry;
    if (problem !== remote.fileProblem) {
      const news = problem === undefined ? ({ kind: 'readable' } as const) : ({ kind: 'unreadable', reason: problem } as const);
      this.#context.reader?.news(remote.name, news);
    }
    remote.fileProblem = problem;
  }

  #logOf(cluster: string): Logger {
    return this.#options.context.log.child({ cluster });
  }

  #add(cluster: string, path: string): Running {
    const remote = new RemoteCluster(cluster, path, { ...this.#context, drainGraceMs: this.#options.drainGraceMs });
    remote.quarantine.set(this.#quarantines.get(cluster));
    const scope = new TaskScope(this.#scope.signal);
    this.#context.reader?.news(cluster, { kind: 'added' });
    scope.run((signal) => remote.run(signal));
    const entry: Running = { kind: 'running', remote, scope };
    this.#entries.set(cluster, entry);
    this.#all = undefined;
    // What ends a cluster but its removal is an error in this program.
    this.#scope.run(async () => {
      const reason = await scope.ended();
      if (!this.#isRemoved(remote)) throw reason;
    });
    this.#logOf(cluster).info({ path }, 'remote cluster added');
    return entry;
  }

  #isRemoved(remote: RemoteCluster): boolean {
    const entry = this.#entries.get(remote.name);
    return entry?.kind !== 'running' || entry.remote !== remote;
  }

  /** `end` resolves when nothing feeds the keys any more. */
  #remove(cluster: string, release: () => void, end: () => Promise<void>): void {
    const { context, drainGraceMs, onEnded, onRemoval } = this.#options;
    const { publisher, local, clock } = context;
    const log = this.#logOf(cluster);
    const entry: Draining = { kind: 'draining', release, returned: undefined };
    this.#entries.set(cluster, entry);
    this.#all = undefined;
    this.#context.reader?.news(cluster, { kind: 'removed' });
    this.#scope.run(async (signal) => {
      await end();
      onEnded?.(cluster);
      onRemoval?.(cluster, drainGraceMs === undefined ? 'kept' : 'draining');
      if (drainGraceMs === undefined) {
        log.warn('remote cluster removed; keeping its keys because of --disable-drain-on-disconnection');
        release();
      } else {
        await drainCluster({ cluster, singles: publisher.singles, local, graceMs: drainGraceMs, release, clock, log, signal });
        onRemoval?.(cluster, 'drained');
      }
      onEnded?.(cluster);
      this.#context.reader?.gone(cluster);
      this.#entries.delete(cluster);
      this.#all = undefined;
      if (entry.returned !== undefined) this.#add(cluster, entry.returned);
    });
  }
}
