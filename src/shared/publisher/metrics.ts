/**
 * What a publisher does, as Prometheus series.
 *
 * A section has its series from the moment it is added until it is removed: a cluster that has never
 * answered shows as not synced, and one that is gone shows nothing.
 */

import type { Counter, Gauge, Histogram, Registry } from '../http/metrics.ts';
import { MAX_TXN_OPERATIONS } from '../limits.ts';
import type { Clock } from '../time/clock.ts';
import type { Publisher, PublisherObserver, RejectReason, RepairReason, Section, SectionOptions } from './types.ts';

type SectionLabel = 'scope' | 'source_cluster';

const REPAIR_REASONS: readonly RepairReason[] = ['deleted', 'overwritten', 'foreign', 'lease_lost', 'store_replaced'];
export const REJECT_REASONS: readonly RejectReason[] = ['outside_prefix', 'key_too_large', 'value_too_large', 'collision'];

/** A prefix of an etcd that is listed and then watched. */
interface Watched {
  readonly scope: string;
  readonly cluster: string;
  /** It was listed and is watched, over the present connection; undefined where it is not to be read at all. */
  readonly isListed: () => boolean | undefined;
}

/** Which of its initial synchronizations are completed. */
interface Synchronized {
  readonly scope: string;
  readonly cluster: string;
  readonly read: number | undefined;
  readonly write: number | undefined;
}

interface AddedSection {
  readonly addedAtMs: number;
  /** Undefined where its source is no etcd. */
  readonly source: Watched | undefined;
}

export class PublisherMetrics implements PublisherObserver {
  readonly #clock: Clock;
  readonly #sections = new Map<Section, AddedSection>();
  /** The same by cluster: there may be thousands. */
  readonly #sectionsOf = new Map<string, Set<Section>>();
  /** Those that are the source of no section. */
  readonly #watched = new Set<Watched>();
  /** Keys not taken, by cluster and reason. */
  readonly #rejectedOf = new Map<string, Map<RejectReason, number>>();
  #publisher: Publisher | undefined;

  readonly #batchOperations: Histogram;
  readonly #syncErrors: Counter<SectionLabel>;
  readonly #initialSyncSeconds: Gauge<SectionLabel>;
  readonly #repairs: Counter<'reason'>;
  readonly #rejected: Counter<SectionLabel | 'reason'>;

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    const section = ['scope', 'source_cluster'] as const;
    this.#batchOperations = registry.histogram(
      'publisher_batch_operations',
      'Operations of one transaction',
      [],
      Array.from({ length: Math.log2(MAX_TXN_OPERATIONS) + 1 }, (_, power) => 2 ** power),
    );
    this.#syncErrors = registry.counter('kvstore_sync_errors_total', 'Writes to etcd that failed', section);
    const sections = {
      labelNames: section,
      rows: () => this.#sections.keys(),
      labels: ({ options: { scope, cluster } }: Section) => [scope, cluster],
    };
    registry.gaugeFrom('kvstore_sync_queue_size', 'Keys waiting to be written', {
      ...sections,
      value: ({ stats }) => stats.pending,
    });
    registry.gaugeFrom('publisher_section_keys', 'Keys desired, by kind and cluster', {
      ...sections,
      value: ({ stats }) => stats.desired,
    });
    registry.gaugeFrom(
      'kvstore_initial_sync_completed',
      'Initial synchronization. read: the source is listed and watched; write: the first listing is written',
      {
        labelNames: section,
        rows: () => this.#synchronized(),
        labels: ({ scope, cluster }) => [scope, cluster],
        column: { label: 'action', values: ['read', 'write'] },
        value: (row, action) => row[action],
      },
    );
    this.#initialSyncSeconds = registry.gauge(
      'publisher_initial_sync_seconds',
      'Seconds until the first listing was written',
      section,
    );
    this.#repairs = registry.counter('publisher_repairs_total', 'Keys repaired without a change in their source', ['reason']);
    this.#rejected = registry.counter('publisher_rejected_keys_total', 'Keys that were rejected', [...section, 'reason']);
    this.#publisherGauges(registry);
    for (const reason of REPAIR_REASONS) this.#repairs.inc({ reason }, 0);
  }

  /** Why writes fail at present; undefined while they succeed, and where there is no publisher. */
  get writeError(): Error | undefined {
    return this.#publisher?.stats.failing?.error;
  }

  /** The publisher whose totals are shown from now on; without one they are 0. */
  setPublisher(publisher: Publisher | undefined): void {
    this.#publisher = publisher;
  }

  /** An etcd that is watched until the returned function is called, and is not the source of a section. */
  addWatched(watched: Watched): () => void {
    this.#watched.add(watched);
    return () => void this.#watched.delete(watched);
  }

  /** `isListed`, where the source is an etcd: see Watched. */
  addSection(section: Section, isListed?: Watched['isListed']): void {
    const { scope, cluster } = section.options;
    const source = isListed === undefined ? undefined : { scope, cluster, isListed };
    this.#sections.set(section, { addedAtMs: this.#clock.monotonicMs(), source });
    const siblings = this.#sectionsOf.get(cluster) ?? new Set<Section>();
    this.#sectionsOf.set(cluster, siblings.add(section));
    const labels = labelsOf(section.options);
    this.#syncErrors.inc(labels, 0);
    // With hundreds of remote clusters these zeros would be most of all series; `remote_cluster_rejected_keys_total` has one for each cluster.
    if (isListed === undefined) for (const reason of REJECT_REASONS) this.#rejected.inc({ ...labels, reason }, 0);
  }

  /** Idempotent. */
  removeSection(section: Section): void {
    if (!this.#sections.delete(section)) return;
    const labels = labelsOf(section.options);
    this.#syncErrors.remove(labels);
    this.#initialSyncSeconds.remove(labels);
    for (const reason of REJECT_REASONS) this.#rejected.remove({ ...labels, reason });
    const { cluster } = section.options;
    const siblings = this.#sectionsOf.get(cluster);
    siblings?.delete(section);
    if (siblings !== undefined && siblings.size > 0) return;
    this.#sectionsOf.delete(cluster);
    this.#rejectedOf.delete(cluster);
  }

  /** Keys of `cluster`, of all its sections, that were rejected for `reason`. */
  rejectedKeys(cluster: string, reason: RejectReason): number {
    return this.#rejectedOf.get(cluster)?.get(reason) ?? 0;
  }

  transaction(operations: number): void {
    this.#batchOperations.observe({}, operations);
  }

  syncError(scope: string, cluster: string): void {
    this.#syncErrors.inc({ scope, source_cluster: cluster });
  }

  repair(reason: RepairReason, keys: number): void {
    this.#repairs.inc({ reason }, keys);
  }

  rejected(reason: RejectReason, scope: string, cluster: string): void {
    this.#rejected.inc({ scope, source_cluster: cluster, reason });
    const counts = this.#rejectedOf.get(cluster) ?? new Map<RejectReason, number>();
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
    this.#rejectedOf.set(cluster, counts);
  }

  synced(scope: string, cluster: string): void {
    for (const section of this.#sectionsOf.get(cluster) ?? []) {
      const added = this.#sections.get(section);
      if (section.options.scope !== scope || added === undefined) continue;
      this.#initialSyncSeconds.set(labelsOf(section.options), (this.#clock.monotonicMs() - added.addedAtMs) / 1000);
    }
  }

  *#synchronized(): Generator<Synchronized, void, void> {
    for (const [{ options, stats }, { source }] of this.#sections)
      yield { scope: options.scope, cluster: options.cluster, read: read(source), write: Number(stats.synced) };
    for (const watched of this.#watched)
      yield { scope: watched.scope, cluster: watched.cluster, read: read(watched), write: undefined };
  }

  #publisherGauges(registry: Registry): void {
    const totals = [
      ['publisher_pending_keys', 'Keys of all sections waiting to be written', 'pending'],
      ['publisher_transactions_in_flight', 'Transactions in flight', 'inFlight'],
      ['publisher_keys', 'Keys desired', 'keys'],
      ['publisher_leases', 'Leases kept alive', 'leases'],
    ] as const;
    for (const [name, help, stat] of totals) {
      registry.gauge(name, help, [], (gauge) => gauge.set(this.#publisher?.stats[stat] ?? 0));
    }
  }
}

/** 1 if it is listed, undefined if it is not to be read. */
function read(watched: Watched | undefined): number | undefined {
  const isListed = watched?.isListed();
  return isListed === undefined ? undefined : Number(isListed);
}

function labelsOf(options: Pick<SectionOptions, 'scope' | 'cluster'>): Record<SectionLabel, string> {
  return { scope: options.scope, source_cluster: options.cluster };
}
