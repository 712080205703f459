/** Gives memory back that keys and values no longer need, in slices and now and then. */

import { COMPACTION_INTERVAL_MS } from '../../limits.ts';
import type { Clock } from '../../time/clock.ts';
import type { Turns } from '../../time/turns.ts';
import type { KeyTable } from './key-table.ts';
import type { SlabStore } from './slab.ts';
import { walk } from './walk.ts';

/** Fewer released bytes of keys and values are not worth a full collection of garbage. */
const MIN_COLLECTED_BYTES = 8 * 1024 * 1024;

export interface CompactionOptions {
  readonly slabs: SlabStore;
  /** All tables whose keys and values lie in the slabs. */
  readonly tables: () => Iterable<KeyTable>;
  readonly clock: Clock;
  readonly turns: Turns;
  /** Called once half of what the slabs took has been released, and no more is: until then the garbage collector holds on to it. */
  readonly collect: () => void;
}

/** Runs until `signal` is aborted, then resolves. */
export async function runCompaction(
  { slabs, tables, clock, turns, collect }: CompactionOptions,
  signal: AbortSignal,
): Promise<void> {
  let most = 0;
  let last = 0;
  while (!signal.aborted) {
    await clock.sleep(COMPACTION_INTERVAL_MS, signal).catch(() => undefined);
    for (const table of sparse(tables())) {
      if (signal.aborted) return;
      if (turns.isOver()) await turns.turn();
      await shrink(table, turns, signal);
    }
    if (slabs.isSparse) await compact(slabs, tables, turns, signal);
    const { residentBytes } = slabs;
    most = Math.max(most, residentBytes);
    if (residentBytes >= last && residentBytes * 2 <= most && most - residentBytes >= MIN_COLLECTED_BYTES && !signal.aborted) {
      collect();
      most = residentBytes;
    }
    last = residentBytes;
  }
}

async function compact(slabs: SlabStore, tables: () => Iterable<KeyTable>, turns: Turns, signal: AbortSignal): Promise<void> {
  slabs.beginCompaction();
  for (const table of [...tables()]) {
    await walk(
      table,
      turns,
      (slot) => table.relocate(slot),
      () => !signal.aborted,
    );
    if (turns.isOver()) await turns.turn();
  }
  slabs.endCompaction();
}

/** Of thousands of tables none, or a few. */
function sparse(tables: Iterable<KeyTable>): KeyTable[] {
  const found: KeyTable[] = [];
  for (const table of tables) if (table.isSparse) found.push(table);
  return found;
}

async function shrink(table: KeyTable, turns: Turns, signal: AbortSignal): Promise<void> {
  const steps = table.shrink();
  // A table that is walked over, by an audit that takes its time for example, has its turn another time.
  while (table.walks === 0 && !signal.aborted && steps.next().done !== true) if (turns.isOver()) await turns.turn();
  steps.return();
}
