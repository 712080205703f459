/**
 * The time during which what etcd holds is known: sections are listed once, then deletions are watched,
 * audits compare, and keys on leases of another duration move a few at a time.
 *
 * It ends when the store turns out to be another one, or when its history was compacted under the watch.
 */
import { Backoff } from '../backoff.ts';
import type { Clock } from '../clock.ts';
import { asError, errorCode } from '../errors.ts';
import { type EtcdClient, type EtcdKey, keyOf, type Revision, type WatchEvent } from '../etcd/types.ts';
import {
  AUDITS_PER_FULL_AUDIT,
  ETCD_BACKOFF_MAX_MS,
  ETCD_BACKOFF_MIN_MS,
  LEASE_MOVES_PER_SECOND,
  MAX_CONCURRENT_LOADS,
} from '../limits.ts';
import type { Logger } from '../log.ts';
import type { KeyGroup } from './key-group.ts';
import type { LeasePool } from './lease-pool.ts';
import { auditSection, DeletionBuffer, loadSection, loadSingles } from './observed-keys.ts';
import type { PublishedSection } from './published-section.ts';
import type { PublisherObserver } from './types.ts';

export type EpochEnd =
  | { readonly kind: 'start' }
  | { readonly kind: 'compacted' }
  | { readonly kind: 'replaced'; readonly reason: string };

export interface EpochOptions {
  readonly client: EtcdClient;
  readonly root: EtcdKey;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: PublisherObserver;
  readonly leases: LeasePool;
  readonly singles: KeyGroup;
  readonly sections: ReadonlyMap<EtcdKey, PublishedSection>;
  readonly canaries: ReadonlyMap<EtcdKey, PublishedSection>;
  readonly auditIntervalMs: number;
  readonly storeWasReplaced: boolean;
}

const MOVE_TICK_MS = 250;

export class Epoch {
  readonly #options: EpochOptions;
  readonly #abort = new AbortController();
  readonly #buffers = new Map<KeyGroup, DeletionBuffer>();
  readonly #audited = new Map<KeyGroup, Revision>();
  readonly #queue: PublishedSection[] = [];
  readonly #tasks = new Set<Promise<void>>();
  #loading = 0;
  #movesDue = false;
  #end: EpochEnd | undefined;

  constructor(options: EpochOptions) {
    this.#options = options;
  }

  /** Runs until the epoch ends, and says why; rejects when `signal` is aborted. */
  async run(from: Revision, signal: AbortSignal): Promise<EpochEnd> {
    const onAbort = () => this.#abort.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const next = (from + 1) as Revision;
      this.#start(this.#loadSingles());
      for (const section of this.#options.sections.values()) this.load(section);
      this.#start(this.#watchDeletions(next));
      this.#start(this.#watchConfigs(next));
      this.#start(this.#moveKeys());
      this.#start(this.#audit());
      while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    signal.throwIfAborted();
    return this.#end ?? { kind: 'replaced', reason: 'the watch on the local etcd ended' };
  }

  end(end: EpochEnd): void {
    this.#end ??= end;
    this.#abort.abort(new Error(`epoch ended: ${end.kind}`));
  }

  /** Lists what etcd holds below the section's prefix, as soon as its turn comes. */
  load(section: PublishedSection): void {
    this.#buffers.set(section.group, new DeletionBuffer());
    this.#queue.push(section);
    this.#nextLoad();
  }

  #start(task: Promise<void>): void {
    const tracked = task
      .catch((thrown: unknown) => {
        if (this.#abort.signal.aborted) return;
        const reason = asError(thrown).message;
        this.#options.log.error(
          { code: errorCode(thrown), error: reason },
          'a task of the publisher failed; everything is compared again',
        );
        this.end({ kind: 'compacted' });
      })
      .finally(() => this.#tasks.delete(tracked));
    this.#tasks.add(tracked);
  }

  #nextLoad(): void {
    if (this.#loading >= MAX_CONCURRENT_LOADS || this.#abort.signal.aborted) return;
    const section = this.#queue.shift();
    if (section === undefined) return;
    this.#loading += 1;
    this.#start(
      this.#loadOne(section).finally(() => {
        this.#loading -= 1;
        this.#nextLoad();
      }),
    );
  }

  async #loadOne(section: PublishedSection): Promise<void> {
    const { client, leases, observer, storeWasReplaced } = this.#options;
    const { group, options } = section;
    const hasForeign = await this.#retried(() => loadSection(client, leases, section, this.#abort.signal));
    if (this.#options.sections.get(options.prefix) !== section) return;
    this.#buffers.get(group)?.applyTo(group);
    this.#buffers.delete(group);
    group.known();
    section.onKnown();
    this.#movesDue ||= hasForeign;
    if (!storeWasReplaced) return;
    observer.repair('store_replaced', group.pendingCount);
    section.rearmCanary();
  }

  async #loadSingles(): Promise<void> {
    const { client, leases, singles } = this.#options;
    const buffer = new DeletionBuffer();
    this.#buffers.set(singles, buffer);
    const hasForeign = await this.#retried(() => loadSingles(client, leases, singles, this.#abort.signal));
    this.#movesDue ||= hasForeign;
    buffer.applyTo(singles);
    this.#buffers.delete(singles);
    singles.known();
  }

  async #retried<T>(load: () => Promise<T>): Promise<T> {
    const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
    let reported: string | undefined;
    for (;;) {
      try {
        return await load();
      } catch (thrown) {
        this.#abort.signal.throwIfAborted();
        const code = errorCode(thrown);
        if (code === 'ETCD_CLUSTER_CHANGED') this.end({ kind: 'replaced', reason: asError(thrown).message });
        if (reported !== code)
          this.#options.log.warn({ code, error: asError(thrown).message }, 'the local etcd cannot be listed; trying on');
        reported = code;
        await this.#options.clock.sleep(backoff.nextMs(), this.#abort.signal);
      }
    }
  }

  async #watchDeletions(from: Revision): Promise<void> {
    const { client, root, observer, log } = this.#options;
    for await (const batch of client.watch(root, { signal: this.#abort.signal, from, deletesOnly: true })) {
      if (batch.kind === 'compacted') return this.end({ kind: 'compacted' });
      if (batch.kind === 'replaced') return this.end({ kind: 'replaced', reason: batch.reason });
      if (batch.kind !== 'events') continue;
      let repaired = 0;
      for (const event of batch.events) if (this.#deleted(event)) repaired += 1;
      if (repaired === 0) continue;
      observer.repair('deleted', repaired);
      log.warn({ keys: repaired, revision: batch.revision }, 'keys vanished from the local etcd; they are written again');
    }
  }

  /** True where the key was desired: it is put right. */
  #deleted(event: WatchEvent): boolean {
    const { singles, canaries } = this.#options;
    const canaryOf = canaries.get(event.key);
    if (canaryOf !== undefined) {
      const slot = singles.table.slotOf(event.key);
      if (slot === undefined || singles.isMoving(slot) || (singles.table.revision[slot] as number) >= event.modRevision)
        return false;
      singles.abandon(event.key);
      // After the events of this batch: data that vanished with the canary comes back first.
      queueMicrotask(() => canaryOf.rearmCanary());
      return true;
    }
    const group = singles.table.slotOf(event.key) === undefined ? this.#sectionOf(event.key)?.group : singles;
    if (group === undefined) return false;
    const buffer = this.#buffers.get(group);
    if (buffer === undefined) return group.observeDeletion(event.key, event.modRevision);
    buffer.add(event);
    return false;
  }

  /** Single keys are few and matter at once: overwriting one is seen by a watch rather than by the next audit. */
  async #watchConfigs(from: Revision): Promise<void> {
    const { client, root, singles, observer, log } = this.#options;
    for await (const batch of client.watch(keyOf(`${root}cluster-config/`), { signal: this.#abort.signal, from })) {
      if (batch.kind === 'compacted') return this.end({ kind: 'compacted' });
      if (batch.kind === 'replaced') return this.end({ kind: 'replaced', reason: batch.reason });
      if (batch.kind !== 'events' || this.#buffers.has(singles)) continue;
      for (const event of batch.events) {
        if (event.type !== 'put' || !singles.observePut(event)) continue;
        observer.repair('overwritten', 1);
        log.warn({ key: event.key, revision: event.modRevision }, 'somebody else wrote a key of ours; it is put right');
      }
    }
  }

  /** The section with the longest prefix of `key`. Every prefix ends with a slash. */
  #sectionOf(key: EtcdKey): PublishedSection | undefined {
    for (let end = key.lastIndexOf('/'); end > 0; end = key.lastIndexOf('/', end - 1)) {
      const section = this.#options.sections.get(key.slice(0, end + 1) as EtcdKey);
      if (section !== undefined) return section;
    }
    return undefined;
  }

  async #moveKeys(): Promise<void> {
    const { clock, sections, singles } = this.#options;
    for (;;) {
      await clock.sleep(MOVE_TICK_MS, this.#abort.signal);
      if (!this.#movesDue) continue;
      let budget = Math.ceil((LEASE_MOVES_PER_SECOND * MOVE_TICK_MS) / 1000);
      let unfinished = false;
      // Which keys stay is known once the source has listed them; until then there is nothing to look through.
      for (const { group, stats } of [{ group: singles, stats: { listed: true } }, ...sections.values()]) {
        if (group.isKnown && stats.listed) budget -= moveSome(group, budget);
        unfinished ||= !stats.listed || budget <= 0;
      }
      this.#movesDue = unfinished;
    }
  }

  async #audit(): Promise<void> {
    const { clock, sections, auditIntervalMs } = this.#options;
    for (let round = 1; ; round += 1) {
      await clock.sleep(auditIntervalMs, this.#abort.signal);
      const full = round % AUDITS_PER_FULL_AUDIT === 0;
      for (const section of [...sections.values()]) if (section.group.isKnown) await this.#auditOne(section, full);
    }
  }

  async #auditOne(section: PublishedSection, full: boolean): Promise<void> {
    const { client, log, observer } = this.#options;
    const { group, options } = section;
    const since = full ? undefined : this.#audited.get(group);
    try {
      const findings = await auditSection(group, options.prefix, { client, since, signal: this.#abort.signal });
      this.#audited.set(group, (findings.revision + 1) as Revision);
      const { overwritten, deleted, foreign } = findings;
      if (overwritten + deleted + foreign === 0) return;
      for (const [reason, keys] of Object.entries({ overwritten, deleted, foreign } as const)) {
        if (keys > 0) observer.repair(reason as keyof typeof findings & ('overwritten' | 'deleted' | 'foreign'), keys);
      }
      log.warn(
        { scope: options.scope, cluster: options.cluster, overwritten, deleted, foreign },
        'an audit found keys that are not ours; they are put right',
      );
    } catch (thrown) {
      this.#abort.signal.throwIfAborted();
      log.debug({ code: errorCode(thrown), scope: options.scope }, 'audit put off');
    }
  }
}

/** Asks for at most `budget` keys of the group to move; returns how many. */
function moveSome(group: KeyGroup, budget: number): number {
  let moved = 0;
  for (const slot of group.table.slots()) {
    if (moved >= budget) break;
    if (!group.needsMove(slot) || group.isMoving(slot) || !group.table.holdsDesired(slot)) continue;
    group.requestMove(slot);
    moved += 1;
  }
  return moved;
}
