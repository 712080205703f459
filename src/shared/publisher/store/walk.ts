/** A walk over all keys of a table, in slices. */

import type { Turns } from '../../time/turns.ts';
import type { KeyTable, Slot } from './key-table.ts';

/** Slots visited between two checks whether a slice is over. */
const VISITS_PER_CHECK = 16;

/** A value whose digest takes as long as many visits. */
const LARGE_VALUE_BYTES = 16 * 1024;

/**
 * Calls `visit` for every slot in use, in slices; slots created during the walk may be skipped. Ends early with false
 * if `goesOn` returns false after a pause. Work that fits into one slice is done when the call returns, with true.
 */
export function walk(
  table: KeyTable,
  turns: Turns,
  visit: (slot: Slot) => void,
  goesOn: () => boolean = () => true,
): true | Promise<boolean> {
  const next = visitFrom(table, 0, visit, turns);
  if (next === table.end) return true;
  table.walks += 1;
  return walkOn(table, next, turns, visit, goesOn).finally(() => {
    table.walks -= 1;
  });
}

async function walkOn(
  table: KeyTable,
  from: Slot,
  turns: Turns,
  visit: (slot: Slot) => void,
  goesOn: () => boolean,
): Promise<boolean> {
  for (let next = from; next < table.end; next = visitFrom(table, next, visit, turns)) {
    await turns.turn();
    if (!goesOn()) return false;
  }
  return true;
}

/** Visits one slice; returns the start of the next one. */
function visitFrom(table: KeyTable, from: Slot, visit: (slot: Slot) => void, turns: Turns): Slot {
  for (let slot = from; slot < table.end; slot += 1) {
    const isCheckDue = (slot + 1) % VISITS_PER_CHECK === 0 || table.valueBytes(slot) > LARGE_VALUE_BYTES;
    if (table.isUsed(slot)) visit(slot);
    if (isCheckDue && turns.isOver()) return slot + 1;
  }
  return table.end;
}
