/**
 * Makes prefixes of one etcd equal to the desired keys of their sources, and keeps them equal.
 *
 * It runs in epochs. At the start of an epoch the content of etcd is unknown: every section is listed, differences
 * are written, and from then on deletions are watched and audits compare. An epoch ends when the store was replaced
 * or its history was compacted beyond the watch; the next one lists again and writes only differences.
 */

import { asError, errorCode } from '../errors.ts';
import type { EtcdClient, EtcdKey, LeaseId, Revision } from '../etcd/types.ts';
import {
  AUDIT_INTERVAL_MS,
  MAX_KEYS_PER_LEASE,
  MAX_TXN_OPERATIONS,
  PUBLISH_BACKOFF_MAX_MS,
  PUBLISH_BACKOFF_MIN_MS,
} from '../limits.ts';
import { collectGarbage } from '../process/garbage.ts';
import type { Logger } from '../process/log.ts';
import { Backoff } from '../time/backoff.ts';
import { type Clock, rfc3339Seconds } from '../time/clock.ts';
import { pauseUntilRecovered } from '../time/recovery.ts';
import { Turns } from '../time/turns.ts';
import { Epoch, type EpochEnd } from './epoch.ts';
import { LateWrites } from './late-writes.ts';
import { currentRevision } from './observed-keys.ts';
import { PublishedSection } from './published-section.ts';
import { PublishedSingleKeys } from './single-keys.ts';
import { runCompaction } from './store/compaction.ts';
import { SlabStore } from './store/slab.ts';
import type { Publisher, PublisherObserver, PublisherStats, Section, SectionOptions } from './types.ts';
import { KeyGroup } from './writer/key-group.ts';
import type { Lane } from './writer/lane.ts';
import { LeasePool } from './writer/lease-pool.ts';
import { Scheduler } from './writer/scheduler.ts';
import type { Scheduled } from './writer/waiting-lanes.ts';

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
  /** What else takes part in the budget of a turn of the event loop. @default a budget of its own */
  readonly turns?: Turns;
  /** The client prevents that a transaction is applied after later ones (FencedClient); otherwise such writes are found and repaired. */
  readonly isFenced?: boolean;
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
  readonly #turns: Turns;
  readonly #lateWrites: LateWrites;
  readonly #stats: PublisherStats;
  #epoch: Epoch | undefined;
  #reconnects = 0;
  /** Leases lost since keys were last searched for them, and keys that hung on them; undefined while no search is running. */
  #lost: { readonly leases: LeaseId[]; keys: number } | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { client, clock, log, observer } = options;
    const keysPerLease = options.keysPerLease ?? MAX_KEYS_PER_LEASE;
    const ttlSeconds = options.leaseTtlSeconds;
    this.#turns = options.turns ?? new Turns(clock);
    this.#lateWrites = new LateWrites(clock);
    this.#leases = new LeasePool({ client, ttlSeconds, keysPerLease, log, onLost: (id, keys) => this.#leaseLost(id, keys) });
    this.#scheduler = new Scheduler({
      client,
      clock,
      log,
      observer,
      leases: this.#leases,
      turns: this.#turns,
      keysPerLease,
      maxOperations: options.maxTxnOperations ?? MAX_TXN_OPERATIONS,
      onStoreReplaced: (reason) => this.#epoch?.end({ kind: 'replaced', reason }),
      onUnknownOutcome: (confirmed) => {
        if (options.isFenced !== true) this.#lateWrites.expect(confirmed);
      },
    });
    this.#singlesGroup = this.#group({ scope: 'singles', cluster: '', prefix: undefined, owns: 'prefix' }, () => singles, 1);
    const singles: Scheduled = { group: this.#singlesGroup, priority: () => 0, heldMs: () => 0 };
    this.#stats = statsOf({
      groups: () => this.#groups(),
      singles: this.#singlesGroup,
      leases: this.#leases,
      slabs: this.#slabs,
      scheduler: this.#scheduler,
    });
    this.singles = new PublishedSingleKeys({ group: this.#singlesGroup, client, clock, turns: this.#turns });
  }

  get stats(): PublisherStats {
    return this.#stats;
  }

  section(options: SectionOptions): Section {
    if (this.#sections.has(options.prefix)) throw new Error(`a section of ${options.prefix} exists already`);
    const group = this.#group(options, () => scheduled);
    const section: PublishedSection = new PublishedSection(options, group, {
      writeCanary: (key) => this.#writeCanary(key),
      compare: async () => (await this.#epoch?.compare(section)) ?? false,
      reconnects: () => this.#reconnects,
      onProgress: () => this.#scheduler.pump(),
      onSynced: () => this.#options.observer.synced(options.scope, options.cluster),
      onRelease: () => this.#release(section),
      earlierRanks: () => this.#earlierRanks(options),
      monotonicMs: () => this.#options.clock.monotonicMs(),
      turns: this.#turns,
    });
    const scheduled: Scheduled = {
      group,
      priority: () => (section.isLoaded ? 0 : 1 + options.rank),
      heldMs: () => section.heldMs,
    };
    this.#sections.set(options.prefix, section);
    const siblings = this.#byCluster.get(options.cluster) ?? new Set();
    this.#byCluster.set(options.cluster, siblings.add(section));
    if (options.canary !== undefined) this.#canaries.set(options.canary, section);
    this.#epoch?.load(section);
    return section;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, log } = this.#options;
    const backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
    let reported: string | undefined;
    let end: EpochEnd = { kind: 'start' };
    this.#scheduler.start(signal);
    const forget = client.onRecovered(() => {
      this.#reconnects += 1;
    });
    const tables = () => this.#sections.values().map(({ group }) => group.table);
    const compaction = runCompaction({ slabs: this.#slabs, tables, clock, turns: this.#turns, collect: collectGarbage }, signal);
    try {
      while (!signal.aborted) {
        try {
          const from = await this.#prepare(end, signal);
          if (reported !== undefined) log.info('local etcd available again');
          reported = undefined;
          backoff.reset();
          end = await this.#runEpoch(from, end, signal);
        } catch (thrown) {
          if (signal.aborted) break;
          if (reported !== errorCode(thrown))
            log.warn({ code: errorCode(thrown), error: asError(thrown).message }, 'cannot read the local etcd; retrying');
          reported = errorCode(thrown);
          await pauseUntilRecovered(client, backoff.nextMs(), clock, signal).catch(() => undefined);
        }
      }
    } finally {
      forget();
      this.#stopped.abort();
      this.#leases.close();
      // The signal has aborted everything in progress; the owner may rely on its end.
      await this.#scheduler.pause(new AbortController().signal);
      await compaction;
    }
  }

  /** Discards the known state; returns the revision from which deletions are watched. */
  async #prepare(end: EpochEnd, signal: AbortSignal): Promise<Revision> {
    const { client, root, log } = this.#options;
    await this.#scheduler.pause(signal);
    if (end.kind === 'replaced') {
      log.warn({ reason: end.reason }, 'local etcd was replaced; comparing and writing all keys again');
      client.forgetCluster();
      this.#leases.forgetAll();
      this.#lateWrites.forget();
      // Readers of a new store must not see "synced" before the data.
      for (const canary of this.#canaries.keys()) this.#singlesGroup.abandon(canary);
    } else if (end.kind === 'compacted') {
      log.info('history of the local etcd was compacted; comparing all keys again');
    }
    for (const group of this.#groups()) group.unknown();
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
      turns: this.#turns,
      lateWrites: this.#lateWrites,
      storeWasReplaced: previous.kind === 'replaced',
    });
    this.#epoch = epoch;
    this.#scheduler.resume(from);
    try {
      return await epoch.run(from, signal);
    } finally {
      this.#epoch = undefined;
    }
  }

  #writeCanary(key: EtcdKey): Promise<boolean> {
    return this.singles.rewrite(key, Buffer.from(rfc3339Seconds(this.#options.clock.nowMs())), this.#stopped.signal);
  }

  #leaseLost(id: LeaseId, keys: number): void {
    const isUnderWay = this.#lost !== undefined;
    this.#lost ??= { leases: [], keys: 0 };
    this.#lost.leases.push(id);
    this.#lost.keys += keys;
    if (!isUnderWay) void this.#dropLost();
  }

  /** Writes keys of lost leases again. No canary is written before all of them are found. */
  async #dropLost(): Promise<void> {
    for (let lost = this.#lost; lost !== undefined && lost.leases.length > 0; lost = this.#lost) {
      if (this.#stopped.signal.aborted) break;
      this.#lost = { leases: [], keys: 0 };
      this.#tellLost(lost.leases, lost.keys);
      const groups = [...this.#groups()];
      for (const { settlement } of groups) settlement.hold();
      let keys = 0;
      for (const group of groups) {
        keys += await group.dropLost();
        group.settlement.unhold();
        if (this.#turns.isOver()) await this.#turns.turn();
      }
      if (keys > 0) this.#options.observer.repair('lease_lost', keys);
    }
    this.#lost = undefined;
  }

  /** Leases are often lost together, a hundred of them with a hundred thousand keys: that is one line. */
  #tellLost(leases: readonly LeaseId[], keys: number): void {
    const { log } = this.#options;
    const [first] = leases;
    if (leases.length === 1) log.warn({ lease: first?.toString(16), keys }, 'lease lost; writing its keys again');
    else log.warn({ leases: leases.length, first: first?.toString(16), keys }, 'leases lost; writing their keys again');
  }

  /** A canary comes back after the data that vanished with it, hence after all events of this turn. */
  #canaryVanished(key: EtcdKey): boolean {
    const section = this.#canaries.get(key);
    if (section === undefined) return false;
    this.#singlesGroup.abandon(key);
    queueMicrotask(() => section.canaryVanished());
    return true;
  }

  /** Keys may have vanished while the canary waited for its turn, or for another try: then it is due later. */
  #mayPut(key: EtcdKey): boolean {
    const section = this.#canaries.get(key);
    if (section === undefined || section.takeLeaveToAnnounce()) return true;
    queueMicrotask(() => section.canaryVanished());
    return false;
  }

  #release(section: PublishedSection): void {
    this.#sections.delete(section.options.prefix);
    if (section.options.canary !== undefined) {
      this.#canaries.delete(section.options.canary);
      this.#singlesGroup.abandon(section.options.canary);
    }
    const siblings = this.#byCluster.get(section.options.cluster);
    siblings?.delete(section);
    if (siblings?.size === 0) this.#byCluster.delete(section.options.cluster);
    this.#scheduler.drop(section.group);
    void section.group.release();
    this.#scheduler.pump();
  }

  *#groups(): Iterable<KeyGroup> {
    yield this.#singlesGroup;
    for (const { group } of this.#sections.values()) yield group;
  }

  *#earlierRanks(options: SectionOptions): Iterable<PublishedSection> {
    for (const other of this.#byCluster.get(options.cluster) ?? []) if (other.options.rank < options.rank) yield other;
  }

  #group(
    options: Pick<SectionOptions, 'scope' | 'cluster' | 'owns' | 'canonical'> & { prefix: EtcdKey | undefined },
    scheduled: () => Scheduled,
    lanes?: number,
  ): KeyGroup {
    const { log, observer } = this.#options;
    const onPending = (lane: Lane) => this.#scheduler.pending(lane, scheduled());
    const onVanished = (key: EtcdKey) => this.#canaryVanished(key);
    const mayPut = (key: EtcdKey) => this.#mayPut(key);
    const { scope, cluster, prefix, owns, canonical } = options;
    const shared = { slabs: this.#slabs, leases: this.#leases, turns: this.#turns, log, observer };
    // Canaries are single keys.
    const ofSingles = prefix === undefined ? { onVanished, mayPut } : {};
    return new KeyGroup({ scope, cluster, prefix, owns, canonical, ...shared, onPending, ...ofSingles }, lanes);
  }
}

interface StatsSources {
  readonly groups: () => Iterable<KeyGroup>;
  readonly singles: KeyGroup;
  readonly leases: LeasePool;
  readonly slabs: SlabStore;
  readonly scheduler: Scheduler;
}

/** Computed on read: some are a sum over all sections. */
function statsOf({ groups, singles, leases, slabs, scheduler }: StatsSources): PublisherStats {
  const sum = (count: (group: KeyGroup) => number) => {
    let total = 0;
    for (const group of groups()) total += count(group);
    return total;
  };
  return {
    get pending() {
      return sum(({ pendingCount }) => pendingCount);
    },
    get keys() {
      return sum(({ table }) => table.desiredCount + table.keptCount);
    },
    get inFlight() {
      return scheduler.inFlight;
    },
    get leases() {
      return leases.count;
    },
    get reservedBytes() {
      return slabs.residentBytes;
    },
    get singlesListed() {
      return singles.isKnown;
    },
    get failing() {
      return scheduler.failing;
    },
  };
}
