/**
 * One section as its source sees it: listings, the sweep of stale keys, and the canary.
 *
 * The story of a first load: the source names keys, which are written while it still lists; `listed` says that
 * it named all; what etcd holds beyond that is stale and is removed; once the last of these writes and removals
 * is confirmed, the canary is written, and readers may trust that what they see is complete.
 */
import type { EtcdKey } from '../etcd/types.ts';
import { LOAD_ORDER_GRACE_MS, LOAD_ORDER_HOLD_MS } from '../limits.ts';
import type { KeyGroup } from './key-group.ts';
import { ABSENT } from './key-table.ts';
import type { Section, SectionOptions, SectionStats } from './types.ts';
import { calledBack, type Waiters, waiters } from './waiters.ts';

export interface SectionHooks {
  /** The canary's time has come; resolves when it is confirmed. */
  readonly writeCanary: (key: EtcdKey) => Promise<void>;
  /** Something that other sections' order depends on has changed. */
  readonly onProgress: () => void;
  readonly onSynced: () => void;
  readonly onRelease: (section: PublishedSection) => void;
  /** Sections of the same cluster with a lower rank. */
  readonly earlierRanks: () => Iterable<PublishedSection>;
  readonly monotonicMs: () => number;
}

export class PublishedSection implements Section {
  readonly options: SectionOptions;
  readonly group: KeyGroup;
  readonly #hooks: SectionHooks;
  readonly #createdMs: number;
  readonly #syncedWaiters: Waiters = waiters();
  readonly #knownWaiters: Waiters = waiters();
  /** The listing under way, or the last one. Slots carry the number of the listing that last named them. */
  #listing = 1;
  #complete = false;
  #everListed = false;
  #everKnown = false;
  #started = false;
  #loaded = false;
  #synced = false;
  #heldSinceMs: number | undefined;
  #released = false;
  #cancelCanary: () => void = () => undefined;

  constructor(options: SectionOptions, group: KeyGroup, hooks: SectionHooks) {
    this.options = options;
    this.group = group;
    this.#hooks = hooks;
    this.#createdMs = hooks.monotonicMs();
  }

  get stats(): SectionStats {
    return {
      desired: this.group.table.desiredCount,
      bytes: this.group.table.desiredBytes,
      pending: this.group.pendingCount,
      listed: this.#everListed,
      synced: this.#synced,
    };
  }

  /** The first listing is in etcd. */
  get isLoaded(): boolean {
    return this.#loaded;
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
    const slot = this.group.table.slotOf(key);
    if (slot !== undefined) this.group.table.listing[slot] = this.#listing;
  }

  valueBytes(key: EtcdKey): number | undefined {
    const { table } = this.group;
    const slot = table.slotOf(key);
    return slot !== undefined && table.isDesired(slot) ? table.valueBytes(slot) : undefined;
  }

  isNamed(key: EtcdKey): boolean {
    const { table } = this.group;
    const slot = table.slotOf(key);
    return slot !== undefined && table.isDesired(slot) && table.listing[slot] === this.#listing;
  }

  remove(key: EtcdKey): void {
    if (!this.#released) this.group.undesire(key);
  }

  listed(): void {
    if (this.#released) return;
    this.#started = true;
    this.#complete = true;
    this.#everListed = true;
    if (this.group.isKnown) this.#settle();
  }

  interrupted(_reason: string): void {
    if (!this.#complete && this.group.table.desiredCount === 0) return;
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

  whenKnown(signal: AbortSignal): Promise<void> {
    return this.#everKnown ? Promise.resolve() : this.#knownWaiters.wait(signal);
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    return this.#synced ? Promise.resolve() : this.#syncedWaiters.wait(signal);
  }

  flushed(signal: AbortSignal): Promise<void> {
    return calledBack((wake) => this.group.whenSettled(wake), signal);
  }

  /** What etcd holds below the prefix has just been listed. */
  onKnown(): void {
    if (!this.#everKnown) {
      this.#everKnown = true;
      this.#knownWaiters.wake();
    }
    if (this.#complete) this.#settle();
  }

  /** Somebody deleted the canary, or its store was replaced: it is due again, after everything that waits now. */
  rearmCanary(): void {
    if (this.#everListed && !this.#released) this.#armCanary();
  }

  /**
   * Whether the section has to wait for earlier ranks of its cluster: nodes and identities shall be known to readers
   * before the endpoints and services that refer to them. Only in the first load, and not for long: an earlier rank
   * that cannot be listed must not keep the others from being served.
   */
  get isHeld(): boolean {
    if (this.#loaded) return false;
    const nowMs = this.#hooks.monotonicMs();
    for (const earlier of this.#hooks.earlierRanks()) {
      if (earlier.#loaded || (!earlier.#started && nowMs - earlier.#createdMs > LOAD_ORDER_GRACE_MS)) continue;
      this.#heldSinceMs ??= nowMs;
      return nowMs - this.#heldSinceMs <= LOAD_ORDER_HOLD_MS;
    }
    return false;
  }

  /** Removes what the complete listing did not name, and sees to the canary. */
  #settle(): void {
    const { group } = this;
    const { table } = group;
    for (const slot of table.slots()) {
      const isDesired = table.isDesired(slot);
      if (isDesired && table.listing[slot] !== this.#listing) {
        table.undesire(slot);
        group.requestRemoval(slot);
      } else if (!isDesired && table.revision[slot] !== ABSENT && group.isRemovable(slot)) {
        group.requestRemoval(slot);
      }
    }
    if (!this.#synced) this.#armCanary();
  }

  #armCanary(): void {
    this.#cancelCanary();
    this.#cancelCanary = this.group.whenSettled(() => {
      this.#loaded = true;
      this.#hooks.onProgress();
      void this.#writeCanary();
    });
  }

  async #writeCanary(): Promise<void> {
    if (this.options.canary !== undefined) {
      try {
        await this.#hooks.writeCanary(this.options.canary);
      } catch {
        return; // The publisher is shutting down: the canary belongs to the next run.
      }
    }
    if (this.#synced) return;
    this.#synced = true;
    this.#syncedWaiters.wake();
    this.#hooks.onSynced();
  }
}
