/**
 * One remote cluster: the only owner of its connection, its mirrors and its state.
 *
 * The connection is made, judged and made again for as long as the cluster is configured. Within one
 * connection what the remote says of itself decides what is mirrored; when that changes everything of the
 * remote is looked at again. What was written stays through all of it: only `release` and the drain let go.
 */
import { Backoff } from '../shared/backoff.ts';
import type { Clock } from '../shared/clock.ts';
import type { ClusterInfo } from '../shared/cluster-info.ts';
import { errorCode } from '../shared/errors.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import { REMOTE_BACKOFF_MAX_MS, REMOTE_BACKOFF_MIN_MS } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import { HEARTBEAT_KEY } from '../shared/publisher/heartbeat.ts';
import type { Publisher } from '../shared/publisher/types.ts';
import { CacheTtl } from './cache-ttl.ts';
import { CanaryGate } from './canary-gate.ts';
import { type ClusterConfig, mirroredClusterConfig, sameClusterConfig } from './cluster-config.ts';
import { clusterConfigReadings, READINGS_TIMING, type ReadingsTiming } from './cluster-config-readings.ts';
import type { ClusterIds } from './cluster-ids.ts';
import { ReconfiguredError } from './errors.ts';
import { runEtcdSource } from './etcd-source.ts';
import { checkHeartbeat, Heartbeat } from './heartbeat-check.ts';
import { canaryPrefix, clusterConfigKey, MAPPINGS, type ServiceFormat, sourceCanary } from './mappings.ts';
import { Mirror, type MirrorOptions } from './mirror.ts';
import { ownStoreProblem } from './own-store.ts';
import { INITIAL_STATE, nextState, type RemoteEvent, type RemoteState } from './remote-state.ts';
import { ScopeEnded, TaskScope } from './task-scope.ts';

/** A client of the remote's etcd, made from its file as it is now. */
export interface OpenedSource {
  readonly client: EtcdClient;
  /** Endpoints of the file. */
  readonly endpoints: number;
}

/** What all remote clusters of a daemon share. */
export interface RemoteClusterContext extends Omit<MirrorOptions, 'cluster'> {
  readonly own: ClusterInfo;
  readonly local: EtcdClient;
  readonly publisher: Publisher;
  readonly ids: ClusterIds;
  readonly serviceFormat: ServiceFormat;
  /** After so long without a remote its services are withdrawn; 0 for never. */
  readonly cacheTtlMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Reads the file and opens a client; rejects with what is wrong with the file. */
  readonly open: (path: string, cluster: string) => Promise<OpenedSource>;
  readonly timing?: RemoteTiming;
}

export interface RemoteTiming {
  readonly readings: ReadingsTiming;
  /** A refused cluster is looked at again after this time. */
  readonly refusedMs: number;
  /** A connection that lasted longer was a good one: the next attempt comes at once. */
  readonly stableMs: number;
}

const TIMING: RemoteTiming = { readings: READINGS_TIMING, refusedMs: 10_000, stableMs: 60_000 };

export class RemoteCluster {
  readonly name: string;
  readonly mirrors: readonly Mirror[];
  /** Monotonic milliseconds. */
  readonly createdMs: number;
  readonly #path: string;
  readonly #context: RemoteClusterContext;
  readonly #log: Logger;
  readonly #backoff = new Backoff({ minMs: REMOTE_BACKOFF_MIN_MS, maxMs: REMOTE_BACKOFF_MAX_MS });
  readonly #cacheTtl: CacheTtl;
  #state: RemoteState = INITIAL_STATE;
  #endpoints = 0;
  /** The present attempt or connection. */
  #scope: TaskScope | undefined;

  constructor(name: string, path: string, context: RemoteClusterContext) {
    this.name = name;
    this.#path = path;
    this.#context = context;
    this.#log = context.log.child({ cluster: name });
    this.createdMs = context.clock.monotonicMs();
    const { cacheTtlMs: ttlMs, clock } = context;
    this.#cacheTtl = new CacheTtl({ ttlMs, clock, onExpired: () => this.#withdraw() });
    this.mirrors = MAPPINGS.map((mapping) => new Mirror(mapping, { ...context, cluster: name, log: this.#log }));
  }

  get state(): RemoteState {
    return this.#state;
  }

  /** Endpoints of its file, as last read. */
  get endpoints(): number {
    return this.#endpoints;
  }

  /** Its first load is in the local etcd, with every canary. Never goes back. */
  get isSynced(): boolean {
    return this.mirrors.every(({ synced }) => synced);
  }

  /** How often its services were withdrawn because it was not heard of. */
  get revocations(): number {
    return this.#cacheTtl.revocations;
  }

  /** Runs until the signal is aborted, then resolves. Whatever goes wrong is this cluster's own affair. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const scope = new TaskScope(signal);
      this.#scope = scope;
      this.#cacheTtl.start();
      const startMs = this.#context.clock.monotonicMs();
      scope.run((connectionSignal) => this.#connection(scope, connectionSignal));
      const reason = await scope.ended();
      for (const mirror of this.mirrors) mirror.disconnected();
      if (signal.aborted) break;
      this.#onLost(reason);
      if (this.#context.clock.monotonicMs() - startMs >= this.#timing.stableMs) this.#backoff.reset();
      if (reason instanceof ReconfiguredError) this.#backoff.reset();
      else await this.#pause(signal);
    }
    this.#cacheTtl.stop();
    this.#apply({ kind: 'lost', reason: undefined, counts: false, nowMs: 0 });
  }

  /** Its file has changed: the connection is made anew at once. */
  reconnect(): void {
    this.#scope?.abort(new ReconfiguredError());
  }

  /** Its keys are left as they are and nobody looks after them any more. Only after `run` has ended. */
  release(): void {
    for (const mirror of this.mirrors) mirror.release();
    this.#context.publisher.singles.release(clusterConfigKey(this.name));
    this.#context.ids.release(this.name);
  }

  get #timing(): RemoteTiming {
    return this.#context.timing ?? TIMING;
  }

  #apply(event: RemoteEvent): void {
    this.#state = nextState(this.#state, event);
  }

  #withdraw(): void {
    this.#log.warn(
      { ttlMs: this.#context.cacheTtlMs },
      'the remote cluster was not heard of for too long; its services are withdrawn',
    );
    for (const mirror of this.mirrors) if (mirror.mapping.expires) mirror.withdraw();
  }

  #onLost(reason: Error): void {
    const isOurs = reason instanceof ReconfiguredError;
    const { phase } = this.#state;
    const wasConnected = phase.kind !== 'connecting';
    const isNews = wasConnected || phase.reason !== reason.message;
    const line = { code: errorCode(reason), reason: reason.message };
    if (isOurs) this.#log.info(line, 'connecting anew');
    else if (wasConnected) this.#log.warn(line, 'the connection to the remote cluster is lost; what it told stays');
    else if (isNews) this.#log.warn(line, 'the remote cluster cannot be reached; trying again');
    this.#apply({
      kind: 'lost',
      reason: isOurs ? undefined : reason.message,
      counts: wasConnected && !isOurs,
      nowMs: this.#context.clock.nowMs(),
    });
  }

  /** Waits before the next attempt; a changed file ends the wait. */
  async #pause(signal: AbortSignal): Promise<void> {
    const scope = new TaskScope(signal);
    this.#scope = scope;
    await this.#context.clock.sleep(this.#backoff.nextMs(), scope.signal).catch(() => undefined);
    await scope.end();
  }

  /** One connection, from the first attempt to its end. Never resolves; rejects with why it ended. */
  async #connection(scope: TaskScope, signal: AbortSignal): Promise<void> {
    const { client, endpoints } = await this.#context.open(this.#path, this.name);
    this.#endpoints = endpoints;
    try {
      await client.get(HEARTBEAT_KEY, { signal });
      const etcdClusterId = client.state.clusterId ?? '';
      this.#apply({ kind: 'connected', etcdClusterId });
      this.#log.info({ etcdClusterId }, 'connected to the remote cluster');
      this.#watchHeartbeat(client, scope);
      await this.#followConfig(client, scope);
    } finally {
      client.close();
    }
  }

  #watchHeartbeat(client: EtcdClient, scope: TaskScope): void {
    const { clock } = this.#context;
    const log = this.#log;
    const heartbeat = new Heartbeat(clock);
    const onSilent = () => {
      if (!this.#state.isSilent) log.warn('nobody writes the heartbeat of the remote cluster; it answers and is mirrored');
      this.#apply({ kind: 'silent', nowMs: clock.nowMs() });
    };
    const onBeating = () => {
      log.info('the heartbeat of the remote cluster is written again');
      this.#apply({ kind: 'beating' });
    };
    scope.run((signal) => runEtcdSource({ client, prefix: HEARTBEAT_KEY, sink: heartbeat, clock, log, signal }));
    scope.run((signal) => checkHeartbeat({ client, heartbeat, clock, signal, onSilent, onBeating }));
  }

  /** Mirrors as the remote's cluster config says, and begins again whenever it says something else. */
  async #followConfig(client: EtcdClient, scope: TaskScope): Promise<void> {
    const { clock } = this.#context;
    let session: { readonly scope: TaskScope; readonly config: ClusterConfig } | undefined;
    try {
      const timing = this.#timing.readings;
      for await (const reading of clusterConfigReadings({ client, cluster: this.name, clock, signal: scope.signal, timing })) {
        const isMirroring = this.#state.phase.kind === 'mirroring';
        if (reading.kind === 'absent') {
          this.#log.warn({ reason: reading.reason }, 'the remote cluster does not say what it is');
          if (!isMirroring) {
            await session?.scope.end();
            session = undefined;
          }
          this.#apply(reading);
        } else if (isMirroring && session !== undefined && sameClusterConfig(session.config, reading.config)) {
          this.#log.info('the remote cluster says again what it is');
          this.#apply({ kind: 'restored' });
        } else {
          await session?.scope.end();
          session = { scope: this.#beginSession(client, reading.config, scope), config: reading.config };
        }
      }
    } finally {
      await session?.scope.end();
    }
  }

  /** A session that fails ends the connection. */
  #beginSession(client: EtcdClient, config: ClusterConfig, connection: TaskScope): TaskScope {
    const session = new TaskScope(connection.signal);
    session.run((signal) => this.#session(client, config, session, signal));
    void session.ended().then((reason) => {
      if (!(reason instanceof ScopeEnded)) connection.abort(reason);
    });
    return session;
  }

  /** The cluster config first, then everything else, each kind as its canary allows. */
  async #session(client: EtcdClient, config: ClusterConfig, session: TaskScope, signal: AbortSignal): Promise<void> {
    const { clock, publisher, serviceFormat } = this.#context;
    const log = this.#log;
    this.#cacheTtl.stop();
    await this.#accept(client, config, signal);
    this.#apply({ kind: 'retrieved', config });
    await publisher.singles.put(clusterConfigKey(this.name), mirroredClusterConfig(config), signal);
    this.#apply({ kind: 'mirroring' });
    log.info({ config }, 'the remote cluster is mirrored');

    const canaryOf = (mirror: Mirror) => sourceCanary(mirror.mapping, this.name, config.cached);
    const gate = config.syncedCanaries ? new CanaryGate(this.mirrors.map(canaryOf)) : undefined;
    for (const mirror of this.mirrors) {
      const enabled = mirror.mapping.enabled(config, serviceFormat);
      mirror.enable(enabled);
      if (!enabled) continue;
      session.run(async (mirrorSignal) => {
        await gate?.open(canaryOf(mirror), mirrorSignal);
        await mirror.follow(client, config.cached, mirrorSignal);
      });
    }
    if (gate === undefined) return;
    const prefix = canaryPrefix(this.name);
    session.run((gateSignal) => runEtcdSource({ client, prefix, sink: gate, clock, log, signal: gateSignal }));
  }

  /** Resolves once the remote may be mirrored; says why as long as it may not. */
  async #accept(client: EtcdClient, config: ClusterConfig, signal: AbortSignal): Promise<void> {
    const { clock, own, local, ids } = this.#context;
    let reported: string | undefined;
    for (;;) {
      const reason =
        (await ownStoreProblem({ source: client, local, own, cluster: this.name, signal })) ?? ids.reserve(this.name, config.id);
      if (reason === undefined) return;
      this.#apply({ kind: 'refused', config, reason });
      if (reason !== reported) this.#log.error({ reason }, 'the remote cluster is refused and not mirrored');
      reported = reason;
      await clock.sleep(this.#timing.refusedMs, signal);
    }
  }
}
