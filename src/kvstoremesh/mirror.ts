/**
 * One kind of keys of one remote: its section in the local etcd, and the source that feeds it.
 *
 * The section outlives every connection. When a connection ends its keys stay, and the next listing is
 * compared with them, so that only differences are ever written.
 */
import type { Clock } from '../shared/clock.ts';
import { type EtcdClient, type EtcdKey, keyText } from '../shared/etcd/types.ts';
import type { Logger } from '../shared/log.ts';
import type { PublisherMetrics } from '../shared/publisher/metrics.ts';
import type { Publisher, Section, Sink } from '../shared/publisher/types.ts';
import type { CanaryGate } from './canary-gate.ts';
import { runEtcdSource } from './etcd-source.ts';
import type { ListTurns } from './list-turns.ts';
import { destinationCanary, destinationPrefix, type Mapping, rekey, sourceCanary, sourcePrefix } from './mappings.ts';

export interface MirrorOptions {
  readonly cluster: string;
  readonly publisher: Publisher;
  readonly metrics: Pick<PublisherMetrics, 'addSection' | 'removeSection' | 'rejected'>;
  readonly turns: ListTurns;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Mirror {
  readonly mapping: Mapping;
  readonly #options: MirrorOptions;
  #section: Section | undefined;
  #enabled = false;
  #listed = false;
  #refused = false;
  #problem: string | undefined;

  constructor(mapping: Mapping, options: MirrorOptions) {
    this.mapping = mapping;
    this.#options = options;
    // Before the remote is heard of: what an earlier run mirrored of it is kept alive meanwhile.
    this.#ensureSection();
  }

  /** The remote exports the kind and it is mirrored; as last heard, also while the connection is away. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** A complete listing was read over the present connection. */
  get listed(): boolean {
    return this.#listed;
  }

  /** The first listing is in the local etcd, its canary too. Never goes back. */
  get synced(): boolean {
    return this.#section?.stats.synced ?? false;
  }

  /** Keys mirrored. */
  get count(): number {
    return this.#section?.stats.desired ?? 0;
  }

  /** Why it is not read at the moment; undefined where it is, or where there is no connection. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The kind is about to be mirrored, or is not: then what there is of it goes, and its canary is written all the same. */
  enable(enabled: boolean): void {
    const section = this.#ensureSection();
    this.#enabled = enabled;
    this.#listed = false;
    this.#problem = undefined;
    if (!enabled) section.clear();
  }

  /** Mirrors once the gate lets it, until the signal is aborted; rejects as `runEtcdSource` does. */
  async follow(client: EtcdClient, cached: boolean, gate: CanaryGate | undefined, signal: AbortSignal): Promise<never> {
    const { cluster, turns, clock, log } = this.#options;
    const canary = sourceCanary(this.mapping, cluster, cached);
    this.#problem = `waiting for ${canary}, which its writer sets once everything is exported`;
    await gate?.open(canary, signal);
    this.#problem = undefined;
    const prefix = sourcePrefix(this.mapping, cluster, cached);
    const section = this.#ensureSection();
    const onFailing = (error: Error | undefined) => {
      this.#problem = error?.message;
    };
    section.interrupted('a connection to the remote begins');
    return runEtcdSource({ client, prefix, sink: this.#rekeyed(prefix, section), turns, clock, log, signal, onFailing });
  }

  /** The connection is over. Keys stay. */
  disconnected(): void {
    this.#listed = false;
    this.#problem = undefined;
  }

  /** What was mirrored is withdrawn; the canary stays. The next listing brings it back. */
  withdraw(): void {
    // Before the first listing there is nothing of ours, and an emptied section would count as synced.
    if (this.#section?.stats.listed) this.#section.clear();
  }

  /** The keys are left as they are and nobody looks after them any more. */
  release(): void {
    if (this.#section === undefined) return;
    this.#section.release();
    this.#options.metrics.removeSection(this.#section);
    this.#section = undefined;
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
      metrics.addSection(this.#section);
    }
    return this.#section;
  }

  #rekeyed(from: EtcdKey, section: Section): Sink {
    const to = section.options.prefix;
    return {
      upsert: (key, value) => {
        const own = rekey(from, to, key);
        if (own === undefined) this.#refuse(key);
        else section.upsert(own, value);
      },
      remove: (key) => {
        const own = rekey(from, to, key);
        if (own !== undefined) section.remove(own);
      },
      listed: () => {
        this.#listed = true;
        section.listed();
      },
      interrupted: (reason) => section.interrupted(reason),
    };
  }

  /** Counted each time, logged once: only keys made of slashes cannot be formed. */
  #refuse(key: EtcdKey): void {
    const { cluster, metrics, log } = this.#options;
    metrics.rejected('outside_prefix', this.mapping.scope, cluster);
    if (!this.#refused)
      log.warn({ cluster, key: keyText(key) }, 'a key of the remote has no part of its own and is not mirrored');
    this.#refused = true;
  }
}
