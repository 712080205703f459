/**
 * One section from the view of its source: listings, the removal of stale keys, and the canary.
 *
 * A first load: the source sends keys, which are written while it still lists; `listed` completes the
 * listing; other keys in etcd are stale and are removed; once the last of these writes and removals
 * is confirmed, the canary is written, and readers may rely on complete data.
 */
import type { EtcdKey } from '../etcd/types.ts';
import { LOAD_ORDER_GRACE_MS, LOAD_ORDER_HOLD_MS } from '../limits.ts';
import type { Turns } from '../time/turns.ts';
import { ABSENT, FLAG_KEPT, type Slot } from './store/key-table.ts';
import { walk } from './store/walk.ts';
import type { Section, SectionOptions, SectionStats } from './types.ts';
import type { KeyGroup } from './writer/key-group.ts';
import { calledBack, type Waiters, waiters } from './writer/waiters.ts';

export interface SectionHooks {
  /** The canary's time has come; resolves when it is confirmed, with false where that time was over before it was written. */
  readonly writeCanary: (key: EtcdKey) => Promise<boolean>;
  /** Finds out what of the section vanished unnoticed. False where that could not be told before all is listed again. */
  readonly compare: () => Promise<boolean>;
  /** How often a lost connection to etcd was there again: what vanished then may show late. */
  readonly reconnects: () => number;
  /** Something that other sections' order depends on has changed. */
  readonly onProgress: () => void;
  readonly onSynced: () => void;
  readonly onRelease: (section: PublishedSection) => void;
  /** Sections of the same cluster with a lower rank. */
  readonly earlierRanks: () => Iterable<PublishedSection>;
  readonly monotonicMs: () => number;
  readonly turns: Turns;
}

export class PublishedSection implements Section {
  readonly options: SectionOptions;
  readonly group: KeyGroup;
  readonly #hooks: SectionHooks;
  readonly #createdMs: number;
  readonly #syncedWaiters: Waiters = waiters();
  readonly #knownWaiters: Waiters = waiters();
  /** The listing in progress, or the last one. Slots have the number of the listing that last contained them. */
  #listing = 1;
  #complete = false;
  #everListed = false;
  #everKnown = false;
  #started = false;
  #loaded = false;
  #synced = false;
  #heldSinceMs: number | undefined;
  #released = false;
  /** Whether the sweep of stale keys in progress is still valid. */
  #sweeps: (() => boolean) | undefined;
  #cancelCanary: () => void = () => undefined;
  /** The canary has to be written, and that is not confirmed yet. */
  #isCanaryDue = false;
  /** How often it became due: what was begun for an earlier time is of no use. */
  #armings = 0;
  /** The canary vanished, and data may have with it. */
  #isUnsure = false;
  /** Of the time when what etcd holds was read last: the group's losses, and reconnects before it was read. */
  #compared = { losses: 0, reconnects: 0 };
  #reconnectsBeforeLoad = 0;
  /** Everything is confirmed, and nothing may have vanished unseen: the canary may be sent, once. */
  #isWhole = false;

  constructor(options: SectionOptions, group: KeyGroup, hooks: SectionHooks) {
    this.options = options;
    this.group = group;
    this.#hooks = hooks;
    this.#createdMs = hooks.monotonicMs();
  }

  get stats(): SectionStats {
    const { table } = this.group;
    return {
      desired: table.desiredCount + table.keptCount,
      bytes: table.desiredBytes + table.keptBytes,
      pending: this.group.pendingCount,
      listed: this.#everListed,
      synced: this.#synced,
    };
  }

  /** The first listing is in etcd. */
  get isLoaded(): boolean {
    return this.#loaded;
  }

  /**
   * Whether the canary may be sent now: everything was confirmed, and nothing may have vanished since then. True once: when it
   * has to be sent again, keys may have vanished since.
   */
  takeLeaveToAnnounce(): boolean {
    const may = this.#isWhole && !this.#mayHaveMissed && !this.group.settlement.isHeld;
    this.#isWhole = false;
    return may;
  }

  /** The source has named all of its keys. */
  get isComplete(): boolean {
    return this.#complete;
  }

  upsert(key: EtcdKey, value: Uint8Array): void {
    if (this.#released) return;
    this.#started = true;
    // A key that is refused keeps its last good value: it was named, hence it is not stale.
    const slot = this.group.desire(key, value);
    if (slot === undefined) this.keep(key);
    else this.group.table.listing[slot] = this.#listing;
  }

  keep(key: EtcdKey): void {
    if (this.#released) return;
    this.#started = true;
    const slot = this.group.keep(key);
    if (slot !== undefined) this.group.table.listing[slot] = this.#listing;
  }

  liveBytes(key: EtcdKey): number | undefined {
    const { table } = this.group;
    const slot = table.slotOf(key);
    if (slot === undefined || table.listing[slot] !== this.#listing || !this.#isHeldOnTo(slot)) return undefined;
    return table.isDesired(slot) ? table.valueBytes(slot) : 0;
  }

  remove(key: EtcdKey): void {
    if (!this.#released) this.group.undesire(key);
  }

  listed(): void {
    if (this.#released) return;
    this.#started = true;
    this.#complete = true;
    this.#everListed = true;
    this.#settle();
  }

  interrupted(_reason: string): void {
    const { desiredCount, keptCount } = this.group.table;
    if (!this.#complete && desiredCount + keptCount === 0) return;
    this.#listing += 1;
    this.#complete = false;
  }

  clear(): void {
    this.#listing += 1;
    this.listed();
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#isCanaryDue = false;
    this.#armings += 1;
    this.#cancelCanary();
    this.#hooks.onRelease(this);
  }

  compare(key: EtcdKey, value: Uint8Array): 'absent' | 'same' | 'other' | undefined {
    const { isKnown, table } = this.group;
    if (!isKnown) return undefined;
    const slot = table.slotOf(key);
    if (slot === undefined || table.revision[slot] === ABSENT) return 'absent';
    return table.holds(slot, value) ? 'same' : 'other';
  }

  whenEtcdListed(signal: AbortSignal): Promise<void> {
    return this.#everKnown ? Promise.resolve() : this.#knownWaiters.wait(signal);
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    return this.#synced ? Promise.resolve() : this.#syncedWaiters.wait(signal);
  }

  flushed(signal: AbortSignal): Promise<void> {
    return calledBack((wake) => this.group.whenSettled(wake), signal);
  }

  /** What etcd holds below the prefix is listed from now on, until `known`. */
  loading(): void {
    this.#reconnectsBeforeLoad = this.#hooks.reconnects();
  }

  /** The content of etcd below the prefix was just listed. False as for KeyGroup.known. */
  async known(): Promise<boolean> {
    const dropUnnamed = (slot: Slot) => {
      if (this.#complete) this.#dropUnnamed(slot);
    };
    if (!(await this.group.known(dropUnnamed))) return false;
    this.#compared = { losses: this.group.losses, reconnects: this.#reconnectsBeforeLoad };
    this.#isUnsure = false;
    if (!this.#everKnown) {
      this.#everKnown = true;
      this.#knownWaiters.wake();
    }
    if (this.#isCanaryDue) this.#armCanary();
    this.#settle();
    return true;
  }

  /** The store was replaced: the canary is due again, after everything that waits now. */
  rearmCanary(): void {
    if (this.#everListed && !this.#released) this.#armCanary();
  }

  /** The canary is gone, or was not written in time. It is due again, after everything that turns out to be missing, too. */
  canaryVanished(): void {
    this.#isUnsure = true;
    this.rearmCanary();
  }

  /**
   * How long the section has to wait for earlier ranks of its cluster, in milliseconds: nodes and identities shall be known
   * to readers before the endpoints and services that refer to them. Only in the first load, and not for long: an earlier
   * rank that cannot be listed must not keep the others from being served.
   */
  get heldMs(): number {
    if (this.#loaded) return 0;
    const nowMs = this.#hooks.monotonicMs();
    for (const earlier of this.#hooks.earlierRanks()) {
      const graceMs = earlier.#started ? Number.POSITIVE_INFINITY : earlier.#createdMs + LOAD_ORDER_GRACE_MS - nowMs;
      if (earlier.#loaded || graceMs < 0) continue;
      this.#heldSinceMs ??= nowMs;
      const holdMs = this.#heldSinceMs + LOAD_ORDER_HOLD_MS - nowMs;
      // The moment itself still counts.
      return holdMs < 0 ? 0 : Math.min(holdMs, graceMs) + 1;
    }
    return 0;
  }

  /** Removes what the complete listing did not name, and sees to the canary. */
  #settle(): void {
    const { group } = this;
    if (!this.#complete || !group.isKnown || this.#sweeps?.() === true) return;
    const listing = this.#listing;
    const { generation } = group;
    const isCurrent = () => this.#complete && this.#listing === listing && group.generation === generation;
    this.#sweeps = isCurrent;
    group.settlement.hold();
    const finish = (isDone: boolean) => {
      if (this.#sweeps === isCurrent) this.#sweeps = undefined;
      if (isDone && isCurrent() && !this.#synced) this.#armCanary();
      group.settlement.unhold();
    };
    const walked = walk(group.table, this.#hooks.turns, (slot) => this.#dropUnnamed(slot), isCurrent);
    if (walked === true) finish(true);
    else void walked.then(finish);
  }

  /** Keys may have vanished that were not reported yet. */
  get #mayHaveMissed(): boolean {
    const { losses, reconnects } = this.#compared;
    return this.#isUnsure || losses !== this.group.losses || reconnects !== this.#hooks.reconnects();
  }

  /** True where nothing is missing. Else the canary is due again, at once or when all is listed again. */
  async #compare(losses: number, arming: number): Promise<boolean> {
    const reconnects = this.#hooks.reconnects();
    const isCompared = await this.#hooks.compare();
    if (this.#armings !== arming || !isCompared) return false;
    if (this.group.losses !== losses) {
      this.#armCanary();
      return false;
    }
    this.#compared = { losses, reconnects };
    this.#isUnsure = false;
    return true;
  }

  #dropUnnamed(slot: Slot): void {
    const { group } = this;
    if (!this.#isHeldOnTo(slot) || group.table.listing[slot] !== this.#listing) group.dropStale(slot);
  }

  /** The source has named the key, with a value or without. */
  #isHeldOnTo(slot: Slot): boolean {
    const { table } = this.group;
    return table.isDesired(slot) || table.has(slot, FLAG_KEPT);
  }

  #armCanary(): void {
    this.#isCanaryDue = true;
    this.#isWhole = false;
    this.#armings += 1;
    this.#cancelCanary();
    this.#cancelCanary = this.group.whenSettled(() => {
      this.#loaded = true;
      this.#hooks.onProgress();
      void this.#announce(this.#armings);
    });
  }

  async #announce(arming: number): Promise<void> {
    const { group, options } = this;
    const { losses } = group;
    if (options.canary !== undefined) {
      if (this.#mayHaveMissed && !(await this.#compare(losses, arming))) return;
      this.#isWhole = true;
      try {
        if (!(await this.#hooks.writeCanary(options.canary)) || this.#armings !== arming) return;
      } catch {
        return; // The publisher is shutting down: the canary belongs to the next run.
      }
    }
    this.#isCanaryDue = false;
    if (this.#synced) return;
    this.#synced = true;
    this.#syncedWaiters.wake();
    this.#hooks.onSynced();
  }
}
