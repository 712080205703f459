/**
 * The remote clusters of this daemon, as the configuration directory names them.
 *
 * A cluster whose file is gone is not listed any more and is drained in the background. When its file comes
 * back meanwhile it is taken up again only after that: agents are told of a removal, and have to see all of it.
 */
import type { Logger } from '../shared/log.ts';
import type { ConfigChange } from './config-directory.ts';
import { drainCluster } from './drain.ts';
import { RemoteCluster } from './remote-cluster.ts';
import type { RemoteClusterContext } from './remote-context.ts';
import { TaskScope } from './task-scope.ts';

export interface RemoteClustersOptions {
  readonly context: RemoteClusterContext;
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
  readonly remote: RemoteCluster;
  /** The path of the file that came back meanwhile. */
  returned: string | undefined;
}

export class RemoteClusters {
  readonly #options: RemoteClustersOptions;
  readonly #scope: TaskScope;
  readonly #entries = new Map<string, Running | Draining>();

  constructor(options: RemoteClustersOptions) {
    this.#options = options;
    this.#scope = new TaskScope(options.signal);
  }

  /** Those that are configured, by name. One that is being drained is none of them. */
  get all(): readonly RemoteCluster[] {
    return [...this.#entries.values()]
      .flatMap((entry) => (entry.kind === 'running' ? [entry.remote] : []))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  apply(change: ConfigChange): void {
    const entry = this.#entries.get(change.cluster);
    if (change.kind === 'removed') {
      if (entry?.kind === 'running') this.#scope.run(() => this.#remove(entry));
      else if (entry !== undefined) entry.returned = undefined;
    } else if (entry === undefined) {
      this.#add(change.cluster, change.path);
    } else if (entry.kind === 'running') {
      entry.remote.reconnect();
    } else {
      entry.returned = change.path;
      this.#logOf(change.cluster).info('the remote cluster came back while it is being removed; it is connected after that');
    }
  }

  /** Rejects with what went wrong, or with the signal's reason, when nothing of any cluster runs any more. */
  async ended(): Promise<never> {
    throw await this.#scope.ended();
  }

  /** The keys of all clusters are left as they are and nobody looks after them any more. Only after `ended` has rejected. */
  release(): void {
    for (const { remote } of this.#entries.values()) remote.release();
    this.#entries.clear();
  }

  #logOf(cluster: string): Logger {
    return this.#options.context.log.child({ cluster });
  }

  #add(cluster: string, path: string): void {
    const remote = new RemoteCluster(cluster, path, this.#options.context);
    const scope = new TaskScope(this.#scope.signal);
    scope.run((signal) => remote.run(signal));
    this.#entries.set(cluster, { kind: 'running', remote, scope });
    // What ends a cluster but its removal is an error in this program.
    this.#scope.run(async () => {
      const reason = await scope.ended();
      if (!this.#isRemoved(remote)) throw reason;
    });
    this.#logOf(cluster).info({ path }, 'a remote cluster was added');
  }

  #isRemoved(remote: RemoteCluster): boolean {
    const entry = this.#entries.get(remote.name);
    return entry?.kind !== 'running' || entry.remote !== remote;
  }

  async #remove({ remote, scope }: Running): Promise<void> {
    const { context, drainGraceMs } = this.#options;
    const log = this.#logOf(remote.name);
    const entry: Draining = { kind: 'draining', remote, returned: undefined };
    this.#entries.set(remote.name, entry);
    await scope.end();
    if (drainGraceMs === undefined) {
      log.warn('the remote cluster was removed; its keys stay, as --disable-drain-on-disconnection says');
      remote.release();
    } else {
      await drainCluster({
        cluster: remote.name,
        singles: context.publisher.singles,
        local: context.local,
        graceMs: drainGraceMs,
        release: () => remote.release(),
        clock: context.clock,
        log,
        signal: this.#scope.signal,
      });
    }
    this.#entries.delete(remote.name);
    if (entry.returned !== undefined) this.#add(remote.name, entry.returned);
  }
}
