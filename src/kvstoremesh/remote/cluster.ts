/**
 * One remote cluster: the only owner of its connection, its mirrors and its state.
 *
 * The connection is made, checked and replaced while the cluster is configured. Within one
 * connection the cluster config of the remote decides what is mirrored; when it changes, the remote is
 * evaluated again. Mirrored keys stay throughout: only `release` and the drain remove them.
 */

import { generalRemedy } from '../../shared/diagnosis/pod-checks.ts';
import { asError } from '../../shared/errors.ts';
import { EtcdError } from '../../shared/etcd/errors.ts';
import { clusterConfigKey, HEARTBEAT_KEY } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient, EtcdKey } from '../../shared/etcd/types.ts';
import {
  RECONNECT_SPREAD_MS,
  REMOTE_BACKOFF_LONGEST_MS,
  REMOTE_BACKOFF_MAX_MS,
  REMOTE_BACKOFF_MIN_MS,
  REMOTE_BACKOFF_MS_PER_LOST,
} from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { ScopeEnded, TaskScope } from '../../shared/process/task-scope.ts';
import type { Sink } from '../../shared/publisher/types.ts';
import { Backoff } from '../../shared/time/backoff.ts';
import { retry } from '../../shared/time/retry.ts';
import { type ClusterConfig, sameClusterConfig } from '../cluster-config.ts';
import { ReconfiguredError, SourceReplacedError } from '../errors.ts';
import type { RemoteGuard } from '../import-guard/remote-guard.ts';
import { RemotePolicy } from '../import-policy/remote-policy.ts';
import { MAPPINGS } from '../mappings.ts';
import { NO_USAGE, RemoteBounds, type Usage } from '../mirror/bounds.ts';
import { Mirror } from '../mirror/mirror.ts';
import { CacheTtl, withdrawServices } from '../removal/cache-ttl.ts';
import { ConfigChanges, clusterConfigReadings } from './cluster-config-readings.ts';
import { REMOTE_TIMING, type RemoteClusterContext, type RemoteTiming } from './context.ts';
import { Freshness } from './freshness.ts';
import { checkHeartbeat, Heartbeat } from './heartbeat-check.ts';
import { runKeySource } from './key-source.ts';
import { Losses } from './loss.ts';
import { MirrorQuarantine } from './mirror-quarantine.ts';
import { newsOf } from './news.ts';
import { runSession } from './session.ts';
import { RemoteSource } from './source.ts';
import { attemptResult, INITIAL_STATE, nextState, type RemoteEvent, type RemoteState } from './state.ts';

export class RemoteCluster {
  readonly name: string;
  readonly mirrors: readonly Mirror[];
  readonly bounds: RemoteBounds;
  /** Undefined where nothing is guarded. */
  readonly guard: RemoteGuard | undefined;
  /** Undefined without a policy file. */
  readonly policy: RemotePolicy | undefined;
  readonly quarantine: MirrorQuarantine;
  /** Monotonic milliseconds. */
  readonly createdMs: number;
  /** Why its file cannot be read at the moment: then everything of it stays as it is. */
  fileProblem: string | undefined;
  readonly #path: string;
  readonly #context: RemoteClusterContext;
  readonly #log: Logger;
  /** Of attempts to mirror, reset by each complete listing: a remote that is replaced often is mirrored again as fast each time. */
  readonly #backoff = new Backoff({ minMs: REMOTE_BACKOFF_MIN_MS, maxMs: () => this.#maxBackoffMs });
  readonly #cacheTtl: CacheTtl;
  readonly #freshness: Freshness;
  #initialSyncMs: number | undefined;
  #state: RemoteState = INITIAL_STATE;
  #connectedMs: number | undefined;
  readonly #losses: Losses;
  /** The present attempt or connection. */
  #scope: TaskScope | undefined;
  readonly #source: RemoteSource;

  constructor(name: string, path: string, context: RemoteClusterContext) {
    this.name = name;
    this.#path = path;
    this.#context = context;
    this.#log = context.log.child({ cluster: name });
    this.createdMs = context.clock.monotonicMs();
    this.#losses = new Losses(this.#log, context.clock);
    this.#source = new RemoteSource({ path, cluster: name }, context.open);
    this.#freshness = new Freshness(context.clock);
    const { cacheTtlMs: ttlMs, brake, clock } = context;
    const [onExpired, onHeld] = [(heard: AbortSignal) => this.#withdraw(heard), () => this.#hold()];
    this.#cacheTtl = new CacheTtl({ cluster: name, ttlMs, brake, clock, onExpired, onHeld });
    this.bounds = new RemoteBounds(context.limits, clock);
    this.guard = context.guard.remote(name, this.#log);
    this.policy = context.policy && new RemotePolicy(name, this.#log);
    this.policyChanged(NO_USAGE);
    const [release, onBegun] = [() => this.release(), () => this.#scope?.abort(new ReconfiguredError())];
    this.quarantine = new MirrorQuarantine({ cluster: name, context, release, onBegun, log: this.#log });
    const { relistMs } = this.#timing;
    const own = { cluster: name, guard: this.guard, policy: this.policy, relistMs, log: this.#log };
    this.mirrors = MAPPINGS.map((mapping) => new Mirror(mapping, { ...context, ...own }));
  }

  /** The path of its file. */
  get path(): string {
    return this.#path;
  }

  get state(): RemoteState {
    return this.#state;
  }

  /** Endpoints of its file, as last read. */
  get endpoints(): number {
    return this.#source.endpoints;
  }

  /** What the local etcd holds of it, or is about to, of all kinds. */
  get held(): Usage {
    return this.mirrors.reduce((sum, { held }) => ({ keys: sum.keys + held.keys, bytes: sum.bytes + held.bytes }), {
      keys: 0,
      bytes: 0,
    });
  }

  /** Its first load is in the local etcd, with every canary. Never goes back. */
  get isSynced(): boolean {
    return this.mirrors.every(({ synced }) => synced);
  }

  /** Connected, accepted, and every kind it has was listed over this connection. */
  get isReady(): boolean {
    return this.#state.phase.kind === 'mirroring' && this.mirrors.every(({ enabled, listed }) => listed || !enabled);
  }

  /** From its addition until its first load was written; undefined before. */
  get initialSyncMs(): number | undefined {
    return this.#initialSyncMs;
  }

  /** How old at most what is served of it is. */
  get stalenessMs(): number {
    return this.#freshness.ageMs;
  }

  /** Why its etcd cannot be reached at the moment, also while the state is still that of the connection that was lost. */
  get connectionError(): Error | undefined {
    return this.#source.error;
  }

  /** Why nothing can be written of what is read; undefined while writes succeed. */
  get writeProblem(): Error | undefined {
    return this.#context.publisher.stats.failing?.error;
  }

  /** How often its services were withdrawn because it was unreachable. */
  get revocations(): number {
    return this.#cacheTtl.revocations;
  }

  /** Its services would have been withdrawn if most other clusters were reachable. */
  get isWithdrawalHeld(): boolean {
    return this.#cacheTtl.isHeld;
  }

  /** Runs until the signal is aborted, then resolves. Errors do not affect other clusters. */
  async run(signal: AbortSignal): Promise<void> {
    // Ends with the signal at the latest, and then it does not matter any more.
    void this.#context.publisher.singles.keep(clusterConfigKey(this.name), signal).catch(() => undefined);
    void this.#timeInitialSync(signal).catch(() => undefined);
    this.#cacheTtl.start();
    while (!signal.aborted) {
      if (this.quarantine.current !== undefined) {
        await this.#untilReleased(signal);
        continue;
      }
      const scope = new TaskScope(signal);
      const begunMs = this.#context.clock.monotonicMs();
      this.#scope = scope;
      this.#connectedMs = undefined;
      scope.run((connectionSignal) => this.#connection(scope, connectionSignal));
      const reason = await scope.ended();
      for (const mirror of this.mirrors) mirror.disconnected();
      if (!(reason instanceof SourceReplacedError)) this.#source.close();
      if (signal.aborted) break;
      this.#cacheTtl.start();
      this.#onLost(reason);
      if (reason instanceof ReconfiguredError || this.#wasStable()) this.#backoff.reset();
      if (!(reason instanceof ReconfiguredError)) await this.#pause(begunMs, signal);
    }
    this.#source.close();
    this.#cacheTtl.stop();
    this.guard?.forget();
    this.#apply({ kind: 'lost', reason: undefined, counts: false, nowMs: 0 });
  }

  /** Its file has changed: the connection is replaced immediately. */
  reconnect(): void {
    this.#context.reader?.news(this.name, { kind: 'reconfigured' });
    this.#scope?.abort(new ReconfiguredError());
  }

  /** The rule that the policy has for it applies from now on. */
  policyChanged(held = this.held): void {
    this.policy?.set(this.#context.policy?.ruleFor(this.name));
    this.bounds.setOwn(this.policy?.limits, held);
  }

  /** Its keys stay and are no longer maintained. Only while there is no connection. */
  release(): void {
    for (const mirror of this.mirrors) mirror.release();
    this.#context.publisher.singles.release(clusterConfigKey(this.name));
    this.#context.ids.release(this.name);
    this.guard?.forget();
  }

  /** Without a connection, nothing changes. The time after which services are withdrawn does not run: the operator decides. */
  async #untilReleased(signal: AbortSignal): Promise<void> {
    this.#cacheTtl.stop();
    await this.quarantine.ended(signal);
    this.#cacheTtl.start();
  }

  get #timing(): RemoteTiming {
    return this.#context.timing ?? REMOTE_TIMING;
  }

  /** Rejects when `signal` is aborted before. */
  async #timeInitialSync(signal: AbortSignal): Promise<void> {
    await Promise.all(this.mirrors.map((mirror) => mirror.whenSynced(signal)));
    this.#initialSyncMs = this.#context.clock.monotonicMs() - this.createdMs;
  }

  #onAnswer(askedMs: number, signal: AbortSignal): void {
    if (!this.isReady || !this.isSynced) return;
    this.#freshness.answered(askedMs, () => Promise.all(this.mirrors.map((mirror) => mirror.flushed(signal))));
  }

  #wasStable(): boolean {
    return this.#connectedMs !== undefined && this.#context.clock.monotonicMs() - this.#connectedMs >= this.#timing.stableMs;
  }

  #apply(event: RemoteEvent): void {
    const result = attemptResult(this.#state, event);
    if (result !== undefined) this.#context.onAttempt?.(result);
    const news = newsOf(this.#state, event);
    if (news !== undefined) this.#context.reader?.news(this.name, news);
    this.#state = nextState(this.#state, event);
    this.#context.onPhase?.(this.name, this.#state.phase);
  }

  #withdraw(heard: AbortSignal): void {
    this.#context.reader?.news(this.name, { kind: 'withdrawn' });
    this.#log.warn({ ttlMs: this.#context.cacheTtlMs }, 'remote cluster unreachable for too long; withdrawing its services');
    void withdrawServices(this.mirrors, this.#context.clock, heard);
  }

  #hold(): void {
    this.#context.reader?.news(this.name, { kind: 'held' });
    const { cacheTtlMs: ttlMs, brake } = this.#context;
    this.#log.warn(
      { ttlMs, unheard: brake.unheard },
      'remote cluster unreachable for too long, and so are most others; keeping its services: check the network of this cluster',
    );
  }

  #onLost(reason: Error): void {
    this.#apply(this.#losses.lost(reason, this.#state.phase));
  }

  /** Longer than for one remote only while many are unreachable. */
  get #maxBackoffMs(): number {
    const { unheard } = this.#context.brake;
    return Math.min(REMOTE_BACKOFF_LONGEST_MS, Math.max(REMOTE_BACKOFF_MAX_MS, unheard * REMOTE_BACKOFF_MS_PER_LOST));
  }

  /**
   * Waits before the next attempt; a changed file ends the wait. The back-off counts from the start of the last one, so that
   * the loss of a long connection is followed by an immediate attempt.
   */
  async #pause(begunMs: number, signal: AbortSignal): Promise<void> {
    const scope = new TaskScope(signal);
    this.#scope = scope;
    const { brake, clock } = this.#context;
    // Remotes that were lost together, as when this cluster was cut off, do not come back in the same instant.
    const spreadMs = Math.max(0, brake.unheard - 1) * RECONNECT_SPREAD_MS * Math.random();
    const restMs = begunMs + this.#backoff.nextMs() - clock.monotonicMs();
    await clock.sleep(Math.max(0, restMs) + spreadMs, scope.signal).catch(() => undefined);
    await scope.end();
    if (scope.signal.reason instanceof ReconfiguredError) this.#source.close();
  }

  /** One connection, from the first attempt to its end. Never resolves; rejects with why it ended. */
  async #connection(scope: TaskScope, signal: AbortSignal): Promise<void> {
    const client = await this.#source.open((count) => this.#takeChanges(scope, count));
    try {
      await this.#firstAnswer(client, signal);
      this.#connectedMs = this.#context.clock.monotonicMs();
      const etcdClusterId = client.state.clusterId ?? '';
      this.#apply({ kind: 'connected', etcdClusterId });
      this.#log.info({ etcdClusterId }, 'connected to the remote cluster');
      this.#watchHeartbeat(client, scope);
      await this.#followConfig(client, scope);
    } catch (thrown) {
      // Users of the client receive the reason before it is closed.
      scope.abort(asError(thrown));
      throw thrown;
    }
  }

  /** The same client reconnects while there is no response; other failures require a new one. */
  async #firstAnswer(client: EtcdClient, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const backoff = new Backoff({ minMs: REMOTE_BACKOFF_MIN_MS, maxMs: REMOTE_BACKOFF_MAX_MS });
    const onFailure = (thrown: unknown) => {
      if (!(thrown instanceof EtcdError && thrown.concernsConnection)) throw thrown;
      this.#onLost(thrown);
    };
    await retry(() => client.get(HEARTBEAT_KEY, { signal }), { backoff, clock, signal, onFailure, recoverable: client });
  }

  #watchHeartbeat(client: EtcdClient, scope: TaskScope): void {
    const { clock } = this.#context;
    const log = this.#log;
    const heartbeat = new Heartbeat(clock);
    const onSilent = () => {
      if (!this.#state.isSilent)
        log.warn(
          { check: 'heartbeat', remedy: generalRemedy('heartbeat') },
          'no heartbeat from the remote cluster; it responds and is mirrored',
        );
      this.#context.onQuorumError('no event received');
      this.#apply({ kind: 'silent', nowMs: clock.nowMs() });
    };
    const onBeating = () => {
      log.info('heartbeat from the remote cluster resumed');
      this.#apply({ kind: 'beating' });
    };
    this.#watchKey(HEARTBEAT_KEY, heartbeat, client, scope);
    scope.run((signal) => checkHeartbeat({ client, heartbeat, clock, signal, onSilent, onBeating }));
  }

  /** Mirrors according to the remote's cluster config, and starts over when it changes. */
  async #followConfig(client: EtcdClient, scope: TaskScope): Promise<void> {
    const { clock } = this.#context;
    const changes = new ConfigChanges();
    this.#watchKey(clusterConfigKey(this.name), changes, client, scope);
    let session: { readonly scope: TaskScope; readonly config: ClusterConfig } | undefined;
    try {
      const timing = this.#timing.readings;
      const { signal } = scope;
      const onAnswer = (askedMs: number) => this.#onAnswer(askedMs, signal);
      const { onConfigRead: onRead, remotes } = this.#context;
      const options = { client, cluster: this.name, clock, signal, timing, changes, remotes, onAnswer, onRead };
      for await (const reading of clusterConfigReadings(options)) {
        const { kind } = this.#state.phase;
        const isMirroring = kind === 'mirroring' || kind === 'stopped';
        if (reading.kind === 'absent') {
          const { check, reason } = reading;
          this.#log.warn({ check, reason }, 'no valid cluster config from the remote cluster');
          if (!isMirroring) {
            await session?.scope.end();
            session = undefined;
          }
          this.#apply(reading);
        } else if (isMirroring && session !== undefined && sameClusterConfig(session.config, reading.config)) {
          this.#log.info('valid cluster config from the remote cluster again');
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

  #watchKey(key: EtcdKey, sink: Sink, client: EtcdClient, scope: TaskScope): void {
    const takeChange = () => this.#takeChanges(scope, 1);
    const source = { key, sink, client, takeChange, clock: this.#context.clock, log: this.#log };
    scope.run((signal) => runKeySource({ ...source, signal }));
  }

  /** An excess that belongs to no kind of keys ends the connection. False if it does. */
  #takeChanges(connection: TaskScope, count: number): boolean {
    if (this.bounds.takeChange(count)) return true;
    if (!connection.signal.aborted) this.bounds.count('change-rate');
    connection.abort(this.bounds.exceedance('change-rate'));
    return false;
  }

  /** A session that fails ends the connection. */
  #beginSession(client: EtcdClient, config: ClusterConfig, connection: TaskScope): TaskScope {
    this.#cacheTtl.stop();
    const { phase } = this.#state;
    if (phase.kind !== 'connecting') this.#apply({ kind: 'connected', etcdClusterId: phase.etcdClusterId });
    const { name: cluster, mirrors, bounds, guard, policy } = this;
    const apply = (event: RemoteEvent) => this.#apply(event);
    const session = new TaskScope(connection.signal);
    const [context, log] = [this.#context, this.#log];
    const onListed = () => {
      this.#backoff.reset();
      context.reader?.news(cluster, { kind: 'listed' });
    };
    const held = () => this.held;
    const parts = { cluster, config, client, mirrors, bounds, held, guard, policy };
    session.run(() => runSession({ ...parts, context, log, apply, onListed, session }));
    void session.ended().then((reason) => {
      if (!(reason instanceof ScopeEnded)) connection.abort(reason);
    });
    return session;
  }
}
