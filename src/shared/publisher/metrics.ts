/**
 * What a publisher does, as Prometheus series.
 *
 * A section has its series from the moment it is added until it is removed: a cluster that has never
 * answered shows as not synced, and one that is gone shows nothing.
 */
import type { Clock } from '../clock.ts';
import { MAX_TXN_OPERATIONS } from '../limits.ts';
import type { Counter, Gauge, Histogram, Registry } from '../metrics.ts';
import type { Publisher, PublisherObserver, RejectReason, RepairReason, Section, SectionOptions } from './types.ts';

type SectionLabel = 'scope' | 'source_cluster';

const REPAIR_REASONS: readonly RepairReason[] = ['deleted', 'overwritten', 'lease_lost', 'store_replaced'];
const REJECT_REASONS: readonly RejectReason[] = ['outside_prefix', 'key_too_large', 'value_too_large', 'collision'];

export class PublisherMetrics implements PublisherObserver {
  readonly #clock: Clock;
  readonly #addedAtMs = new Map<Section, number>();
  #publisher: Publisher | undefined;

  readonly #operations: Histogram<'scope' | 'kind' | 'action' | 'outcome'>;
  readonly #batchOperations: Histogram;
  readonly #syncErrors: Counter<SectionLabel>;
  readonly #queueSize: Gauge<SectionLabel>;
  readonly #initialSync: Gauge<SectionLabel | 'action'>;
  readonly #initialSyncSeconds: Gauge<SectionLabel>;
  readonly #repairs: Counter<'reason'>;
  readonly #rejected: Counter<SectionLabel | 'reason'>;

  constructor(registry: Registry, clock: Clock) {
    this.#clock = clock;
    const section = ['scope', 'source_cluster'] as const;
    this.#operations = registry.histogram('kvstore_operations_duration_seconds', 'Duration of operations on etcd', [
      'scope',
      'kind',
      'action',
      'outcome',
    ]);
    this.#batchOperations = registry.histogram(
      'publisher_batch_operations',
      'Operations of one transaction',
      [],
      Array.from({ length: Math.log2(MAX_TXN_OPERATIONS) + 1 }, (_, power) => 2 ** power),
    );
    this.#syncErrors = registry.counter('kvstore_sync_errors_total', 'Writes to etcd that failed', section);
    this.#queueSize = registry.gauge('kvstore_sync_queue_size', 'Keys that wait to be written', section, (gauge) => {
      for (const { options, stats } of this.#addedAtMs.keys()) gauge.set(labelsOf(options), stats.pending);
    });
    this.#initialSync = registry.gauge(
      'kvstore_initial_sync_completed',
      'Whether the first listing was read, and whether it is written',
      [...section, 'action'],
      (gauge) => {
        for (const { options, stats } of this.#addedAtMs.keys()) {
          gauge.set({ ...labelsOf(options), action: 'read' }, Number(stats.listed));
          gauge.set({ ...labelsOf(options), action: 'write' }, Number(stats.synced));
        }
      },
    );
    this.#initialSyncSeconds = registry.gauge(
      'publisher_initial_sync_seconds',
      'Seconds until the first listing was written',
      section,
    );
    this.#repairs = registry.counter('publisher_repairs_total', 'Keys put right although their source said nothing new', [
      'reason',
    ]);
    this.#rejected = registry.counter('publisher_rejected_keys_total', 'Keys that were not taken', [...section, 'reason']);
    this.#publisherGauges(registry);
    for (const reason of REPAIR_REASONS) this.#repairs.inc({ reason }, 0);
  }

  /** The publisher whose totals are shown from now on; without one they are 0. */
  setPublisher(publisher: Publisher | undefined): void {
    this.#publisher = publisher;
  }

  addSection(section: Section): void {
    this.#addedAtMs.set(section, this.#clock.monotonicMs());
    const labels = labelsOf(section.options);
    this.#syncErrors.inc(labels, 0);
    for (const reason of REJECT_REASONS) this.#rejected.inc({ ...labels, reason }, 0);
  }

  /** Idempotent. */
  removeSection(section: Section): void {
    if (!this.#addedAtMs.delete(section)) return;
    const labels = labelsOf(section.options);
    this.#syncErrors.remove(labels);
    this.#queueSize.remove(labels);
    this.#initialSyncSeconds.remove(labels);
    for (const reason of REJECT_REASONS) this.#rejected.remove({ ...labels, reason });
    for (const action of ['read', 'write']) this.#initialSync.remove({ ...labels, action });
  }

  transaction(outcome: 'success' | 'fail', operations: number, seconds: number): void {
    this.#operations.observe({ scope: 'publisher', kind: 'set', action: 'Txn', outcome }, seconds);
    this.#batchOperations.observe(operations);
  }

  syncError(scope: string, cluster: string): void {
    this.#syncErrors.inc({ scope, source_cluster: cluster });
  }

  repair(reason: RepairReason, keys: number): void {
    this.#repairs.inc({ reason }, keys);
  }

  rejected(reason: RejectReason, scope: string, cluster: string): void {
    this.#rejected.inc({ scope, source_cluster: cluster, reason });
  }

  synced(scope: string, cluster: string): void {
    for (const [section, addedAtMs] of this.#addedAtMs) {
      if (section.options.scope !== scope || section.options.cluster !== cluster) continue;
      this.#initialSyncSeconds.set(labelsOf(section.options), (this.#clock.monotonicMs() - addedAtMs) / 1000);
    }
  }

  #publisherGauges(registry: Registry): void {
    const totals = [
      ['publisher_pending_keys', 'Keys that wait to be written, of all sections', 'pending'],
      ['publisher_transactions_in_flight', 'Transactions under way', 'inFlight'],
      ['publisher_keys', 'Keys desired', 'keys'],
      ['publisher_leases', 'Leases kept alive', 'leases'],
    ] as const;
    for (const [name, help, stat] of totals) {
      registry.gauge(name, help, [], (gauge) => gauge.set(this.#publisher?.stats[stat] ?? 0));
    }
  }
}

function labelsOf(options: SectionOptions): Record<SectionLabel, string> {
  return { scope: options.scope, source_cluster: options.cluster };
}
