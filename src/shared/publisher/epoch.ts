/**
 * The time during which what etcd holds is known: sections are listed once, then deletions are watched,
 * audits compare, and keys on leases of another duration move a few at a time.
 *
 * It ends when the store turns out to be another one, or when its history was compacted under the watch.
 */

import { asError, errorCode } from '../errors.ts';
import { type EtcdClient, type EtcdKey, keyOf, type Revision } from '../etcd/types.ts';
import { AUDITS_PER_FULL_AUDIT, ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS, MAX_CONCURRENT_LOADS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import { onAbort } from '../time/abort.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { retry } from '../time/retry.ts';
import type { Turns } from '../time/turns.ts';
import { type AuditFindings, auditSections, auditSingles } from './audit.ts';
import { type Auditable, sharedRanges } from './audit-ranges.ts';
import { type LateWrites, watchLateWrites } from './late-writes.ts';
import { LeaseMoves } from './lease-moves.ts';
import { loadCanary, loadSection, loadSingles, type Reading } from './observed-keys.ts';
import type { PublishedSection } from './published-section.ts';
import { deletedAt, putAs } from './store/touch.ts';
import type { PublisherObserver, RepairReason } from './types.ts';
import type { KeyGroup } from './writer/key-group.ts';
import type { LeasePool } from './writer/lease-pool.ts';

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
  readonly turns: Turns;
  readonly auditIntervalMs: number;
  readonly lateWrites: LateWrites;
  readonly storeWasReplaced: boolean;
}

export class Epoch {
  readonly #options: EpochOptions;
  readonly #abort = new AbortController();
  readonly #reading: Reading;
  readonly #moves: LeaseMoves;
  readonly #audited = new WeakMap<KeyGroup, Revision>();
  readonly #queue: PublishedSection[] = [];
  readonly #tasks = new Set<Promise<void>>();
  #lastAudit: Promise<unknown> = Promise.resolve();
  #loading = 0;
  #end: EpochEnd | undefined;

  constructor(options: EpochOptions) {
    const { client, clock, leases, turns } = options;
    this.#options = options;
    this.#reading = { client, leases, turns, signal: this.#abort.signal };
    this.#moves = new LeaseMoves({ clock, leases, turns });
  }

  /** Runs until the epoch ends and resolves with the reason; rejects when `signal` is aborted. */
  async run(from: Revision, signal: AbortSignal): Promise<EpochEnd> {
    const unlink = onAbort(signal, () => this.#abort.abort(signal.reason));
    try {
      const next = (from + 1) as Revision;
      this.#start(this.#loadSingles());
      for (const section of this.#options.sections.values()) this.load(section);
      this.#start(this.#watchDeletions(next));
      this.#start(this.#watchConfigs(next));
      this.#start(this.#watchLateWrites());
      this.#start(this.#moves.run(this.#abort.signal));
      this.#start(this.#audit());
      while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
    } finally {
      unlink();
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
    this.#queue.push(section);
    this.#nextLoad();
  }

  /** Compares all keys of the section with what etcd holds, and sees to what differs. False where the epoch ends before that is done. */
  compare(section: PublishedSection): Promise<boolean> {
    if (this.#abort.signal.aborted) return Promise.resolve(false);
    const compared = this.#retried(() => this.#auditInTurn([section], true));
    this.#start(compared);
    return compared.then(
      () => true,
      () => false,
    );
  }

  #start(task: Promise<void>): void {
    const tracked = task
      .catch((thrown: unknown) => {
        if (this.#abort.signal.aborted) return;
        const reason = asError(thrown).message;
        this.#options.log.error({ code: errorCode(thrown), error: reason }, 'publisher task failed; comparing all keys again');
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
    const { observer, singles, storeWasReplaced } = this.#options;
    const { group, options } = section;
    const hasForeign = await this.#retried(async () => {
      section.loading();
      const found = await loadSection(this.#reading, section);
      if (options.canary !== undefined && !group.isReleased) await loadCanary(this.#reading, singles, options.canary);
      return found;
    });
    if (group.isReleased) return;
    if (hasForeign) this.#moves.add(group, () => section.stats.listed);
    const isKnown = await section.known();
    if (group.isReleased) return;
    if (!isKnown) throw new Error(`too many keys changed below ${options.prefix} during the listing`);
    if (!storeWasReplaced) return;
    observer.repair('store_replaced', group.pendingCount);
    section.rearmCanary();
  }

  async #loadSingles(): Promise<void> {
    const { singles } = this.#options;
    const hasForeign = await this.#retried(() => loadSingles(this.#reading, singles));
    if (hasForeign) this.#moves.add(singles, () => true);
    if (!(await singles.known())) throw new Error('too many single keys changed while they were read');
    // Only some of them are watched: what happened since they were read shows now, and not with the next audit.
    await this.#auditSingles();
  }

  #retried<T>(load: () => Promise<T>): Promise<T> {
    const { client, clock, log } = this.#options;
    const backoff = new Backoff({ minMs: ETCD_BACKOFF_MIN_MS, maxMs: ETCD_BACKOFF_MAX_MS });
    const onFailure = (thrown: unknown, isNew: boolean) => {
      const code = errorCode(thrown);
      const error = asError(thrown).message;
      if (code === 'ETCD_CLUSTER_CHANGED') this.end({ kind: 'replaced', reason: error });
      if (isNew) log.warn({ code, error }, 'cannot list the local etcd; retrying');
    };
    return retry(load, { backoff, clock, signal: this.#abort.signal, onFailure, recoverable: client });
  }

  async #watchDeletions(from: Revision): Promise<void> {
    const { client, root, observer, log } = this.#options;
    for await (const batch of client.watch(root, { signal: this.#abort.signal, from, deletesOnly: true })) {
      if (batch.kind === 'compacted') return this.end({ kind: 'compacted' });
      if (batch.kind === 'replaced') return this.end({ kind: 'replaced', reason: batch.reason });
      if (batch.kind !== 'events') continue;
      let repaired = 0;
      for (const { key, modRevision } of batch.events)
        if (this.#groupOf(key)?.touched(key, deletedAt(modRevision)) !== undefined) repaired += 1;
      if (repaired === 0) continue;
      observer.repair('deleted', repaired);
      log.warn({ keys: repaired, revision: batch.revision }, 'keys removed externally from the local etcd; restoring them');
    }
  }

  /** Cluster configurations are few and matter at once: overwriting one is seen by a watch rather than by the next audit. */
  async #watchConfigs(from: Revision): Promise<void> {
    const { client, root, singles } = this.#options;
    for await (const batch of client.watch(keyOf(`${root}cluster-config/`), { signal: this.#abort.signal, from })) {
      if (batch.kind === 'compacted') return this.end({ kind: 'compacted' });
      if (batch.kind === 'replaced') return this.end({ kind: 'replaced', reason: batch.reason });
      if (batch.kind !== 'events') continue;
      for (const event of batch.events)
        if (event.type === 'put' && singles.touched(event.key, putAs(event)) !== undefined) this.#overwritten(event.key);
    }
  }

  async #watchLateWrites(): Promise<void> {
    const { client, root, lateWrites, observer, log } = this.#options;
    const { signal } = this.#abort;
    const sectionOf = (key: EtcdKey) => this.#sectionOf(key);
    const reason = await watchLateWrites(lateWrites, { client, root, sectionOf, observer, log, signal });
    this.end({ kind: 'replaced', reason });
  }

  #overwritten(key: EtcdKey): void {
    this.#options.observer.repair('overwritten', 1);
    this.#options.log.warn({ key }, 'key overwritten externally; restoring it');
  }

  #groupOf(key: EtcdKey): KeyGroup | undefined {
    const { singles } = this.#options;
    return singles.isAbout(key) ? singles : this.#sectionOf(key)?.group;
  }

  /** The section with the longest prefix of `key`. Every prefix ends with a slash. */
  #sectionOf(key: EtcdKey): PublishedSection | undefined {
    for (let end = key.lastIndexOf('/'); end > 0; end = key.lastIndexOf('/', end - 1)) {
      const section = this.#options.sections.get(key.slice(0, end + 1) as EtcdKey);
      if (section !== undefined) return section;
    }
    return undefined;
  }

  async #audit(): Promise<void> {
    const { clock, sections, auditIntervalMs, lateWrites } = this.#options;
    for (let round = 1; ; round += 1) {
      await clock.sleep(auditIntervalMs, this.#abort.signal);
      const full = round % AUDITS_PER_FULL_AUDIT === 0;
      lateWrites.audited();
      await this.#auditSingles();
      const known = [...sections.values()].filter(({ group }) => group.isKnown);
      const isPartly = ({ group }: PublishedSection) => !full && this.#audited.has(group);
      const [partly, fully] = [known.filter(isPartly), known.filter((section) => !isPartly(section))];
      for (const range of sharedRanges(partly, auditable)) await this.#auditRange(range, false);
      for (const range of sharedRanges(fully, auditable)) await this.#auditRange(range, true);
    }
  }

  async #auditRange(sections: readonly PublishedSection[], full: boolean): Promise<void> {
    try {
      await this.#auditInTurn(sections, full);
    } catch (thrown) {
      this.#abort.signal.throwIfAborted();
      const [scope, prefix] = [sections[0]?.options.scope, sections[0]?.options.prefix];
      this.#options.log.debug({ code: errorCode(thrown), scope, prefix, sections: sections.length }, 'audit postponed');
    }
  }

  /** One audit at a time: two of one section would take each other's marks for their own. */
  #auditInTurn(sections: readonly PublishedSection[], full: boolean): Promise<void> {
    const audit = this.#lastAudit.then(() => this.#auditNow(sections, full));
    this.#lastAudit = audit.catch(() => undefined);
    return audit;
  }

  /** `sections`: as `sharedRanges` orders them. Unless `full`, all of them were audited before. */
  async #auditNow(sections: readonly PublishedSection[], full: boolean): Promise<void> {
    // One of them may have been released while the audit waited for its turn.
    const audits = sections
      .filter(({ group }) => group.isKnown)
      .map((section) => ({ section, since: full ? undefined : this.#audited.get(section.group) }));
    if (audits.length === 0) return;
    const { revision, findings } = await auditSections(audits, this.#reading);
    for (const [at, { section }] of audits.entries()) {
      this.#audited.set(section.group, (revision + 1) as Revision);
      this.#report(section, findings[at] as AuditFindings);
    }
  }

  #report({ options }: PublishedSection, { overwritten, deleted, foreign }: AuditFindings): void {
    const { log, observer } = this.#options;
    if (overwritten + deleted + foreign === 0) return;
    for (const [reason, keys] of Object.entries({ overwritten, deleted, foreign } as const)) {
      if (keys > 0) observer.repair(reason as keyof AuditFindings, keys);
    }
    log.warn(
      { scope: options.scope, cluster: options.cluster, overwritten, deleted, foreign },
      'audit found keys written or removed externally; restoring them',
    );
  }

  async #auditSingles(): Promise<void> {
    const { singles, log, observer } = this.#options;
    const onRepair = (reason: RepairReason, key: EtcdKey) => {
      if (reason === 'overwritten') this.#overwritten(key);
      else observer.repair(reason, 1);
    };
    try {
      if (singles.isKnown) await auditSingles(singles, onRepair, this.#reading);
    } catch (thrown) {
      this.#abort.signal.throwIfAborted();
      log.debug({ code: errorCode(thrown), scope: singles.options.scope }, 'audit postponed');
    }
  }
}

function auditable({ group, options }: PublishedSection): Auditable {
  return { scope: options.scope, prefix: options.prefix, keys: group.table.end };
}
