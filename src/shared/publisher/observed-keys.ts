/**
 * Learns what etcd holds, by reading it.
 *
 * The publisher never keeps a value to compare it later: it keeps digests. What others do to its keys shows as a
 * deletion that it did not ask for, or as a mod revision that is not its own.
 */
import { type EtcdClient, type EtcdKey, keyOf, type Revision } from '../etcd/types.ts';
import { FLAG_KEPT } from './store/key-table.ts';
import type { Turns } from './store/turns.ts';
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
 * Lists a section in etcd and adopts the leases found. The group must be unknown and quiet. True where keys were found that
 * hang on no lease of ours, and have to move if they are desired.
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
 * Reads the canary of a section and adopts its lease: what an earlier run wrote stays for as long as the source has not
 * listed anything else.
 */
export async function loadCanary({ client, leases, signal }: Reading, singles: KeyGroup, canary: EtcdKey): Promise<void> {
  await singles.read(canary, () => client.get(canary, { signal }));
  const slot = singles.table.slotOf(canary);
  if (slot !== undefined) await leases.adopt([singles.table.lease[slot] as number], () => true, signal);
}

/** Reads every key that `group` knows of, one by one, and adopts the leases found. True as `loadSection` says. */
export async function loadSingles(reading: Reading, group: KeyGroup): Promise<boolean> {
  await group.forget();
  for (const slot of group.table.slots()) {
    const key = group.table.key(slot);
    await group.read(key, () => reading.client.get(key, { signal: reading.signal }));
  }
  return adoptLeases(reading, group);
}

/** Adopts the leases that the keys found hang on. True where some hang on none of ours even then. */
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
  // A lease on which only keys of an unfinished listing hang is needed too, as far as we can tell yet.
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
