/**
 * Makes prefixes of one etcd equal to what sources desire, and keeps them so.
 *
 * It lives in epochs. An epoch begins with what etcd holds being unknown: every section is listed, differences
 * are written, and from then on deletions are watched and audits compare. An epoch ends when the store turns out to be another one
 * or its history was compacted under our watch; the next one lists again and writes only what differs.
 */
import { Backoff } from '../backoff.ts';
import { type Clock, rfc3339Seconds } from '../clock.ts';
import { asError, errorCode } from '../errors.ts';
import type { EtcdClient, EtcdKey, Revision } from '../etcd/types.ts';
import {
  AUDIT_INTERVAL_MS,
  MAX_KEYS_PER_LEASE,
  MAX_TXN_OPERATIONS,
  PUBLISH_BACKOFF_MAX_MS,
  PUBLISH_BACKOFF_MIN_MS,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import { Epoch, type EpochEnd } from './epoch.ts';
import { KeyGroup } from './key-group.ts';
import type { Lane } from './lane.ts';
import { LeasePool } from './lease-pool.ts';
import { currentRevision } from './observed-keys.ts';
import { PublishedSection } from './published-section.ts';
import { Scheduler } from './scheduler.ts';
import { PublishedSingleKeys } from './single-keys.ts';
import { SlabStore } from './slab.ts';
import type { Publisher, PublisherObserver, PublisherStats, Section, SectionOptions } from './types.ts';
import type { Scheduled } from './waiting-lanes.ts';

export interface PublisherOptions {
  /** The local etcd. While the publisher runs it is the only one to call its `forgetCluster`. */
  readonly client: EtcdClient;
  /** Everything published starts with it; deletions below it are watched. */
  readonly root: EtcdKey;
  readonly leaseTtlSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: PublisherObserver;
  /** @default MAX_TXN_OPERATIONS; lowered by itself where the server allows fewer. */
  readonly maxTxnOperations?: number;
  /** @default MAX_KEYS_PER_LEASE */
  readonly keysPerLease?: number;
  /** @default AUDIT_INTERVAL_MS */
  readonly auditIntervalMs?: number;
}

/** A publisher. Sections take words at once; nothing is written before `run`, which ends when `signal` is aborted and leaves every key and lease in place. */
export function createPublisher(options: PublisherOptions): Publisher & { run(signal: AbortSignal): Promise<void> } {
  return new EtcdPublisher(options);
}

class EtcdPublisher implements Publisher {
  readonly singles: PublishedSingleKeys;
  readonly #options: PublisherOptions;
  readonly #slabs = new SlabStore();
  readonly #leases: LeasePool;
  readonly #scheduler: Scheduler;
  readonly #singlesGroup: KeyGroup;
  readonly #sections = new Map<EtcdKey, PublishedSection>();
  readonly #byCluster = new Map<string, Set<PublishedSection>>();
  readonly #canaries = new Map<EtcdKey, PublishedSection>();
  readonly #stopped = new AbortController();
  #epoch: Epoch | undefined;
  #epochNumber = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { client, clock, log, observer } = options;
    const keysPerLease = options.keysPerLease ?? MAX_KEYS_PER_LEASE;
    const ttlSeconds = options.leaseTtlSeconds;
    this.#leases = new LeasePool({ client, ttlSeconds, keysPerLease, log, onLost: (lease) => this.#leaseLost(lease) });
    this.#scheduler = new Scheduler({
      client,
      clock,
      log,
      observer,
      leases: this.#leases,
      keysPerLease,
      maxOperations: options.maxTxnOperations ?? MAX_TXN_OPERATIONS,
      onStoreReplaced: (reason) => this.#epoch?.end({ kind: 'replaced', reason }),
    });
    this.#singlesGroup = this.#group({ scope: 'singles', cluster: '', prefix: undefined, owns: 'prefix' }, () => singles, 1);
    const singles: Scheduled = { group: this.#singlesGroup, priority: () => 0, isHeld: () => false };
    this.singles = new PublishedSingleKeys({ group: this.#singlesGroup, client, clock, epoch: () => this.#epochNumber });
  }

  get stats(): PublisherStats {
    let pending = this.#singlesGroup.pendingCount;
    let keys = this.#singlesGroup.table.desiredCount;
    for (const section of this.#sections.values()) {
      pending += section.stats.pending;
      keys += section.stats.desired;
    }
    return {
      pending,
      keys,
      inFlight: this.#scheduler.inFlight,
      leases: this.#leases.count,
      singlesListed: this.#singlesGroup.isKnown,
      failing: this.#scheduler.failing,
    };
  }

  section(options: SectionOptions): Section {
    if (this.#sections.has(options.prefix)) throw new Error(`a section of ${options.prefix} exists already`);
    const group = this.#group(options, () => scheduled);
    const section: PublishedSection = new PublishedSection(options, group, {
      writeCanary: (key) => this.#writeCanary(key),
      onProgress: () => this.#scheduler.pump(),
      onSynced: () => this.#options.observer.synced(options.scope, options.cluster),
      onRelease: () => this.#release(section),
      earlierRanks: () => this.#earlierRanks(options),
      monotonicMs: () => this.#options.clock.monotonicMs(),
    });
    const scheduled: Scheduled = {
      group,
      priority: () => (section.isLoaded ? 0 : 1 + options.rank),
      isHeld: () => section.isHeld,
    };
    this.#sections.set(options.prefix, section);
    const siblings = this.#byCluster.get(options.cluster) ?? new Set();
    this.#byCluster.set(options.cluster, siblings.add(section));
    if (options.canary !== undefined) this.#canaries.set(options.canary, section);
    this.#epoch?.load(section);
    return section;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
    let reported: string | undefined;
    let end: EpochEnd = { kind: 'start' };
    this.#scheduler.start(signal);
    try {
      while (!signal.aborted) {
        try {
          const from = await this.#prepare(end, signal);
          if (reported !== undefined) log.info('the local etcd answers again');
          reported = undefined;
          backoff.reset();
          end = await this.#runEpoch(from, end, signal);
        } catch (thrown) {
          if (signal.aborted) break;
          if (reported !== errorCode(thrown))
            log.warn({ code: errorCode(thrown), error: asError(thrown).message }, 'the local etcd cannot be read; trying on');
          reported = errorCode(thrown);
          await clock.sleep(backoff.nextMs(), signal).catch(() => undefined);
        }
      }
    } finally {
      this.#stopped.abort();
      this.#leases.close();
      // The signal has aborted what is under way; its owner may rely on all of it having ended.
      await this.#scheduler.pause(new AbortController().signal);
    }
  }

  /** Everything that was known is forgotten; returns the revision from which deletions are watched. */
  async #prepare(end: EpochEnd, signal: AbortSignal): Promise<Revision> {
    const { client, root, log } = this.#options;
    await this.#scheduler.pause(signal);
    this.#epochNumber += 1;
    if (end.kind === 'replaced') {
      log.warn({ reason: end.reason }, 'the local etcd is another one than before; everything is compared and written again');
      client.forgetCluster();
      this.#leases.forgetAll();
      // Readers of a new store must not see "synced" before the data.
      for (const canary of this.#canaries.keys()) this.#singlesGroup.abandon(canary);
    } else if (end.kind === 'compacted') {
      log.info('the history of the local etcd was compacted; everything is compared again');
    }
    for (const section of this.#sections.values()) section.group.forget();
    this.#singlesGroup.forget();
    return currentRevision(client, root, signal);
  }

  async #runEpoch(from: Revision, previous: EpochEnd, signal: AbortSignal): Promise<EpochEnd> {
    const { client, root, clock, log, observer, auditIntervalMs = AUDIT_INTERVAL_MS } = this.#options;
    const epoch = new Epoch({
      client,
      root,
      clock,
      log,
      observer,
      auditIntervalMs,
      leases: this.#leases,
      singles: this.#singlesGroup,
      sections: this.#sections,
      canaries: this.#canaries,
      storeWasReplaced: previous.kind === 'replaced',
    });
    this.#epoch = epoch;
    this.#scheduler.resume();
    try {
      return await epoch.run(from, signal);
    } finally {
      this.#epoch = undefined;
    }
  }

  async #writeCanary(key: EtcdKey): Promise<void> {
    await this.singles.write(key, Buffer.from(rfc3339Seconds(this.#options.clock.nowMs())), this.#stopped.signal);
  }

  #leaseLost(lease: number): void {
    for (const [canary, section] of this.#canaries) {
      const slot = this.#singlesGroup.table.slotOf(canary);
      if (slot === undefined || this.#singlesGroup.table.lease[slot] !== lease) continue;
      this.#singlesGroup.abandon(canary);
      queueMicrotask(() => section.rearmCanary());
    }
    let keys = this.#singlesGroup.leaseLost(lease);
    for (const section of this.#sections.values()) keys += section.group.leaseLost(lease);
    if (keys > 0) this.#options.observer.repair('lease_lost', keys);
  }

  #release(section: PublishedSection): void {
    this.#sections.delete(section.options.prefix);
    if (section.options.canary !== undefined) {
      this.#canaries.delete(section.options.canary);
      this.#singlesGroup.abandon(section.options.canary);
    }
    this.#byCluster.get(section.options.cluster)?.delete(section);
    this.#scheduler.drop(section.group);
    section.group.forget();
    section.group.table.dispose();
    this.#scheduler.pump();
  }

  *#earlierRanks(options: SectionOptions): Iterable<PublishedSection> {
    for (const other of this.#byCluster.get(options.cluster) ?? []) if (other.options.rank < options.rank) yield other;
  }

  #group(
    options: Pick<SectionOptions, 'scope' | 'cluster' | 'owns'> & { prefix: EtcdKey | undefined },
    scheduled: () => Scheduled,
    lanes?: number,
  ): KeyGroup {
    const { log, observer } = this.#options;
    const onPending = (lane: Lane) => this.#scheduler.pending(lane, scheduled());
    const { scope, cluster, prefix, owns } = options;
    return new KeyGroup(
      { scope, cluster, prefix, owns, slabs: this.#slabs, leases: this.#leases, log, observer, onPending },
      lanes,
    );
  }
}
