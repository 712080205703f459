/**
 * Reads the state of etcd.
 *
 * The publisher keeps digests instead of values to compare. External changes to its keys show as an
 * unexpected deletion or mod revision.
 */
import { type EtcdClient, type EtcdKey, keyOf, type Revision } from '../etcd/types.ts';
import type { Turns } from '../time/turns.ts';
import { FLAG_KEPT } from './store/key-table.ts';
import { walk } from './store/walk.ts';
import type { SectionOptions } from './types.ts';
import type { KeyGroup } from './writer/key-group.ts';
import type { LeasePool } from './writer/lease-pool.ts';

export interface Reading {
  readonly client: EtcdClient;
  readonly leases: LeasePool;
  readonly turns: Turns;
  readonly signal: AbortSignal;
}

/**
 * Lists a section in etcd and adopts the leases found. The state of the group must be unknown and no writes in flight. True if keys
 * were found that are not attached to a lease of ours, and must move if they are desired.
 */
export async function loadSection(
  { client, leases, turns, signal }: Reading,
  section: { readonly group: KeyGroup; readonly options: SectionOptions },
): Promise<boolean> {
  const { group, options } = section;
  await group.forget();
  for await (const page of client.list(options.prefix, { signal })) {
    for (const keyValue of page.keyValues) {
      if (group.isReleased) return false;
      group.observe(keyValue);
      if (turns.isOver()) await turns.turn();
    }
  }
  return adoptLeases({ client, leases, turns, signal }, group);
}

/**
 * Reads the canary of a section and adopts its lease: the canary of an earlier run stays until the source has listed
 * something else.
 */
export async function loadCanary({ client, leases, signal }: Reading, singles: KeyGroup, canary: EtcdKey): Promise<void> {
  await singles.read(canary, () => client.get(canary, { signal }));
  const slot = singles.table.slotOf(canary);
  if (slot !== undefined) await leases.adopt([singles.table.lease[slot] as number], () => true, signal);
}

/** Reads all keys of `group` one by one, and adopts the leases found. Returns the same as `loadSection`. */
export async function loadSingles(reading: Reading, group: KeyGroup): Promise<boolean> {
  await group.forget();
  for (const slot of group.table.slots()) {
    const key = group.table.key(slot);
    await group.read(key, () => reading.client.get(key, { signal: reading.signal }));
  }
  return adoptLeases(reading, group);
}

/** Adopts the leases of the keys found. True if some keys are not attached to a lease of ours even then. */
export async function adoptLeases({ leases, turns, signal }: Reading, group: KeyGroup): Promise<boolean> {
  const { table } = group;
  const found = new Set<number>();
  const needed = new Set<number>();
  await walk(table, turns, (slot) => {
    if ((table.revision[slot] as number) <= 0) return;
    const lease = table.lease[slot] as number;
    found.add(lease);
    if (table.isDesired(slot) || table.has(slot, FLAG_KEPT)) needed.add(lease);
  });
  // A lease with keys of an unfinished listing only is kept too, since they may be desired.
  const isNeeded = (index: number) => needed.has(index) || group.options.owns === 'prefix';
  await leases.adopt(found, isNeeded, signal);
  for (const index of found) if (!leases.isOurs(index)) return true;
  return false;
}

/** The revision of the store now; linearizable. */
export async function currentRevision(client: EtcdClient, root: EtcdKey, signal: AbortSignal): Promise<Revision> {
  for await (const page of client.list(keyOf(`${root}.revision/`), { signal, pageSize: 1, keysOnly: true })) return page.revision;
  throw new Error('a list yields at least one page');
}
