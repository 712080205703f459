/** Keys whose leases have another duration than the configured one move, a few at a time: readers receive an event for each. */

import { LEASE_MOVES_PER_SECOND } from '../limits.ts';
import type { Clock } from '../time/clock.ts';
import type { Turns } from '../time/turns.ts';
import { FLAG_REFUSED } from './store/key-table.ts';
import type { KeyGroup } from './writer/key-group.ts';
import type { LeasePool } from './writer/lease-pool.ts';

/** Interval between two batches of moved keys. */
const MOVE_TICK_MS = 250;
const MOVES_PER_TICK = Math.ceil((LEASE_MOVES_PER_SECOND * MOVE_TICK_MS) / 1000);

export interface LeaseMovesOptions {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly leases: LeasePool;
}

export class LeaseMoves {
  readonly #options: LeaseMovesOptions;
  /** Groups with keys that have to move, and whether it is known yet which of them stay. */
  readonly #due = new Map<KeyGroup, () => boolean>();
  #budget = MOVES_PER_TICK;

  constructor(options: LeaseMovesOptions) {
    this.#options = options;
  }

  /** Keys of `group` are not attached to a lease of ours. They are visited once, as soon as `isListed`. */
  add(group: KeyGroup, isListed: () => boolean): void {
    this.#due.set(group, isListed);
  }

  /** Runs until the signal is aborted, and rejects then. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#tick(signal);
      for (const [group, isListed] of this.#due) {
        if (group.isReleased) this.#due.delete(group);
        else if (group.isKnown && isListed()) await this.#move(group, signal);
      }
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { clock, leases } = this.#options;
    await clock.sleep(MOVE_TICK_MS, signal);
    this.#budget = MOVES_PER_TICK;
    // Any failure is retried with the next tick; other code reports the state of etcd.
    await leases.adoptNeeded(signal).catch(() => signal.throwIfAborted());
  }

  async #move(group: KeyGroup, signal: AbortSignal): Promise<void> {
    const { turns, leases } = this.#options;
    const { table } = group;
    this.#due.delete(group);
    table.walks += 1;
    try {
      for (let slot = 0; slot < table.end && !group.isReleased; slot += 1) {
        if (turns.isOver()) await turns.turn();
        if (!table.isUsed(slot) || !group.needsMove(slot)) continue;
        if (table.has(slot, FLAG_REFUSED)) {
          leases.need(table.lease[slot] as number);
          continue;
        }
        while (this.#budget === 0) await this.#tick(signal);
        this.#budget -= 1;
        // The key may have changed during the pause: it is checked again in its turn.
        if (table.isUsed(slot)) group.requestMove(slot);
      }
    } finally {
      table.walks -= 1;
    }
  }
}
