/**
 * When a change was put, carried by its value: as the name of a pod. Times are of the monotonic clock of the machine, which all
 * processes share.
 */
import { type Entry, endpoint, proportions } from '../dataset.ts';

export interface Stamp {
  /** Counts changes from 0. */
  readonly sequence: number;
  readonly sentNs: number;
}

/** Coprime to the numbers of keys in use: each change is of another key until all had one. */
const STRIDE = 7919;

/** Nanoseconds of the machine's monotonic clock; exact to a microsecond as a number for a hundred days of uptime. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}

/** Keys that are changed in turns, of a cluster of `total` keys. */
export function changedKeys(total: number): number {
  return proportions(total).endpoints;
}

/** The change as the cluster with `id` would make it: another value of an existing key. */
export function stamped(id: number, total: number, run: number, { sequence, sentNs }: Stamp): Entry {
  return endpoint(id, (sequence * STRIDE) % changedKeys(total), total, `t-${run}-${sequence}-${Math.round(sentNs)}`);
}

/** The stamp of a value; undefined if it has none of `run`. */
export function stampOf(value: Buffer, run: number): Stamp | undefined {
  const at = value.lastIndexOf('"t-');
  if (at < 0) return undefined;
  const [, found, sequence, sentNs] = value.toString('latin1', at + 1, value.indexOf('"', at + 3)).split('-');
  return Number(found) === run ? { sequence: Number(sequence), sentNs: Number(sentNs) } : undefined;
}
