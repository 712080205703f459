/**
 * One kind of keys of one remote: its section in the local etcd, and the source that feeds it.
 *
 * The section outlives connections. Its keys stay when a connection ends, and the next listing is compared with them, so
 * only differences are written.
 */

import type { EtcdClient } from '../../shared/etcd/types.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { PublisherMetrics } from '../../shared/publisher/metrics.ts';
import type { Publisher, Section } from '../../shared/publisher/types.ts';
import { LinkedAbort } from '../../shared/time/abort.ts';
import type { Clock } from '../../shared/time/clock.ts';
import type { Turns } from '../../shared/time/turns.ts';
import type { Tracer } from '../../shared/tracing/tracer.ts';
import { RelistError } from '../errors.ts';
import type { RemoteGuard } from '../import-guard/remote-guard.ts';
import { IDENTITY_RELIST_MS } from '../import-policy/limits.ts';
import type { PolicyRun, RemotePolicy } from '../import-policy/remote-policy.ts';
import { destinationCanary, destinationPrefix, type Mapping, sourceCanary, sourcePrefix } from '../mappings.ts';
import { NO_USAGE, type Usage } from './bounds.ts';
import type { CanaryGate } from './canary-gate.ts';
import { runEtcdSource } from './etcd-source.ts';
import type { ListTurns } from './list-turns.ts';
import { mirrorPipeline } from './pipeline.ts';
import type { Quota } from './quota.ts';
import { RefusedKeys } from './refused-keys.ts';
import { KeyTraces } from './trace.ts';

export interface MirrorOptions {
  readonly cluster: string;
  readonly local: EtcdClient;
  readonly publisher: Publisher;
  readonly metrics: Pick<PublisherMetrics, 'addSection' | 'removeSection' | 'rejected'>;
  /** Undefined where nothing is guarded. */
  readonly guard: RemoteGuard | undefined;
  /** Undefined without a policy file. */
  readonly policy?: RemotePolicy | undefined;
  readonly turns: ListTurns;
  /** See `EtcdSourceOptions`. */
  readonly slices?: Turns | undefined;
  /** See `EtcdSourceOptions`. */
  readonly relistMs: number;
  /** Called with the seconds from reading a change until the local etcd confirmed it, for one change at a time. */
  readonly onPropagated?: (seconds: number) => void;
  /** Undefined where nothing is traced. */
  readonly tracer?: Tracer | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface FollowOptions {
  readonly client: EtcdClient;
  /** The source is a mirror itself. */
  readonly cached: boolean;
  readonly gate: CanaryGate | undefined;
  /** Of this session. The signal is to be aborted once it is exceeded. */
  readonly quota: Quota;
  /** Undefined where everything is imported. */
  readonly policyRun?: PolicyRun | undefined;
  readonly signal: AbortSignal;
  /** A complete listing was read. */
  readonly onListed: () => void;
}

export class Mirror {
  readonly mapping: Mapping;
  readonly #options: MirrorOptions;
  readonly #refused: RefusedKeys;
  #section: Section | undefined;
  #enabled = false;
  #listed = false;
  #problem: string | undefined;

  constructor(mapping: Mapping, options: MirrorOptions) {
    this.mapping = mapping;
    this.#options = options;
    const { cluster, metrics, log } = options;
    this.#refused = new RefusedKeys({ log, onRefused: (reason) => metrics.rejected(reason, mapping.scope, cluster) });
    // Before the first connection: the section keeps alive the keys that an earlier run mirrored.
    this.#ensureSection();
  }

  /** The remote exports the kind and it is mirrored; the last known state while there is no connection. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** A complete listing was read over the current connection. */
  get listed(): boolean {
    return this.#listed;
  }

  /** The first listing and its canary are in the local etcd. Stays true. */
  get synced(): boolean {
    return this.#section?.stats.synced ?? false;
  }

  /** Resolves when it is synced; rejects when `signal` is aborted first. */
  whenSynced(signal: AbortSignal): Promise<void> {
    return this.#ensureSection().whenSynced(signal);
  }

  /** Resolves when the local etcd has confirmed everything read so far; rejects when `signal` is aborted first. */
  flushed(signal: AbortSignal): Promise<void> {
    return this.#ensureSection().flushed(signal);
  }

  /** Keys mirrored. */
  get count(): number {
    return this.#section?.stats.desired ?? 0;
  }

  /** Keys, and bytes of their own parts and values, that the local etcd holds, or is about to. */
  get held(): Usage {
    if (this.#section === undefined) return NO_USAGE;
    const { desired: keys, bytes } = this.#section.stats;
    return { keys, bytes: bytes - keys * this.#section.options.prefix.length };
  }

  /** Why the kind is not mirrored, or not completely; undefined where it is, or without a connection. */
  get problem(): string | undefined {
    return this.#problem ?? this.#refused.problem;
  }

  /**
   * Whether the kind is mirrored from now on. Otherwise its keys are removed, in the turn that the policy gives them, and its
   * canary is still written.
   */
  enable(enabled: boolean, run?: { readonly policy: PolicyRun | undefined; readonly signal: AbortSignal }): void {
    const section = this.#ensureSection();
    this.#enabled = enabled;
    this.#listed = false;
    this.#problem = undefined;
    if (enabled) return;
    const [order, hasRoom] = [run?.policy?.order, run?.policy?.hasRoom];
    if (run === undefined || order === undefined) {
      section.clear();
      return;
    }
    const clear = async ({ signal }: { readonly signal: AbortSignal }) => {
      if (hasRoom !== undefined) await this.#withhold(section, hasRoom, signal);
      await order.turn(this.mapping, signal);
      section.clear();
      await section.flushed(signal);
      order.done(this.mapping);
    };
    // Rejects when the connection ends: the next one begins with the same.
    void clear(run).catch(() => undefined);
  }

  /** Mirrors once the gate is open, until the signal is aborted; rejects as `runEtcdSource` does. */
  async follow({ client, cached, gate, quota, policyRun, signal, onListed }: FollowOptions): Promise<never> {
    const { cluster, guard, policy, turns, slices, relistMs, tracer, clock, log, onPropagated = () => undefined } = this.#options;
    const canary = sourceCanary(this.mapping, cluster, cached);
    this.#problem = `waiting for ${canary}, which its writer sets once everything is exported`;
    await gate?.open(canary, signal);
    this.#problem = undefined;
    const prefix = sourcePrefix(this.mapping, cluster, cached);
    const section = this.#ensureSection();
    // What etcd holds decides what the policy withdraws, and in which order.
    if (policyRun?.hasRoom !== undefined) await section.whenEtcdListed(signal);
    let relist: () => void = () => undefined;
    const sink = mirrorPipeline({
      mapping: this.mapping,
      from: prefix,
      section,
      quota,
      refused: this.#refused,
      guard,
      policy: policyRun,
      relist: () => relist(),
      clock,
      signal,
      onListed: () => {
        this.#listed = true;
        onListed();
      },
      onPropagated,
      traces: tracer && new KeyTraces({ tracer, cluster, section, signal }),
    });
    const onFailing = (error: Error | undefined) => {
      this.#problem = error?.message;
    };
    // How many of the keys the policy lets in is known once they were read.
    const isFiltered = policy?.decides(this.mapping) ?? false;
    const onAnnounced = (keys: number) => sink.announced(isFiltered ? 0 : keys);
    const onProgress = () => sink.notified();
    const source = { client, prefix, sink, turns, slices, relistMs, clock, log, onFailing, onAnnounced, onProgress };
    let relistedMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      const listing = new LinkedAbort(signal);
      relist = () => listing.abort(new RelistError());
      try {
        await runEtcdSource({ ...source, signal: listing.signal });
      } catch (thrown) {
        if (!(thrown instanceof RelistError) || signal.aborted) throw thrown;
      } finally {
        listing.abort();
      }
      await clock.sleep(Math.max(0, relistedMs + IDENTITY_RELIST_MS - clock.monotonicMs()), signal);
      relistedMs = clock.monotonicMs();
      sink.interrupted('values are needed that were not kept');
    }
  }

  /** The connection has ended. Keys stay. */
  disconnected(): void {
    this.#listed = false;
    this.#problem = undefined;
    this.#refused.restart();
  }

  /**
   * Removes the mirrored keys, also those of an earlier run; a canary stays, and none is written. The next listing restores
   * them. Resolves when the section knows all removals; rejects where the local etcd cannot be read or `signal` is aborted.
   */
  async withdraw(signal: AbortSignal): Promise<void> {
    const section = this.#ensureSection();
    if (section.stats.listed) {
      section.clear();
      return;
    }
    // A cleared section would count as listed, and its canary would announce keys that were never read.
    await section.whenEtcdListed(signal);
    await section.flushed(signal);
    for await (const page of this.#options.local.list(section.options.prefix, { signal, keysOnly: true })) {
      for (const { key } of page.keyValues) section.remove(key);
    }
  }

  /** Keys stay as they are; their leases are no longer kept alive. */
  release(): void {
    if (this.#section === undefined) return;
    this.#section.release();
    this.#options.metrics.removeSection(this.#section);
    this.#section = undefined;
  }

  /** The first load of the kind is over. Keys of an earlier run stay until the turn of their kind, as far as there is room. */
  async #withhold(section: Section, hasRoom: () => boolean, signal: AbortSignal): Promise<void> {
    await section.whenEtcdListed(signal);
    section.interrupted('the kind is not imported');
    for await (const page of this.#options.local.list(section.options.prefix, { signal, keysOnly: true })) {
      for (const { key } of page.keyValues) if (hasRoom()) section.keep(key);
    }
    section.listed();
  }

  #ensureSection(): Section {
    if (this.#section === undefined) {
      const { cluster, publisher, metrics } = this.#options;
      this.#section = publisher.section({
        scope: this.mapping.scope,
        cluster,
        prefix: destinationPrefix(this.mapping, cluster),
        rank: this.mapping.rank,
        owns: 'prefix',
        canary: destinationCanary(this.mapping, cluster),
      });
      metrics.addSection(this.#section, () => (this.#enabled ? this.#listed : undefined));
    }
    return this.#section;
  }
}
