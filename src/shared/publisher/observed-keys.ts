/**
 * Learns what etcd holds: by listing a section, by watching for deletions, and by audits.
 *
 * The publisher never reads a value to compare it later: it keeps digests. What others do to its keys shows as a
 * deletion that it did not ask for, or as a mod revision that is not its own.
 */
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, type Revision, type WatchEvent } from '../etcd/types.ts';
import type { KeyGroup } from './key-group.ts';
import { UNKNOWN } from './key-table.ts';
import type { LeasePool } from './lease-pool.ts';
import type { SectionOptions } from './types.ts';

/**
 * Lists a section in etcd and adopts the leases found, that of its canary too: what an earlier run wrote stays for as long
 * as the source has not listed anything else. The group must be forgotten and quiet. True where keys were found that hang
 * on no lease of ours, and have to move if they are desired.
 */
export async function loadSection(
  client: EtcdClient,
  leases: LeasePool,
  section: { readonly group: KeyGroup; readonly options: SectionOptions },
  signal: AbortSignal,
): Promise<boolean> {
  const { group, options } = section;
  const { prefix, canary } = options;
  group.forget();
  for await (const page of client.list(prefix, { signal })) {
    for (const keyValue of page.keyValues) group.observe(keyValue);
  }
  const hasForeign = await adoptLeases(leases, group, signal);
  const announced = canary === undefined ? undefined : await client.get(canary, { signal });
  if (announced !== undefined) await leases.adopt([leases.indexOf(announced.lease)], () => true, signal);
  return hasForeign;
}

/** Reads every key that `group` desires, one by one, and adopts the leases found. */
export async function loadSingles(client: EtcdClient, leases: LeasePool, group: KeyGroup, signal: AbortSignal): Promise<boolean> {
  group.forget();
  for (const slot of group.table.slots()) {
    const keyValue = await client.get(group.table.key(slot), { signal });
    if (keyValue !== undefined) group.observe(keyValue);
  }
  return adoptLeases(leases, group, signal);
}

/** Adopts the leases that the keys found hang on. True where some hang on none of ours even then. */
export async function adoptLeases(leases: LeasePool, group: KeyGroup, signal: AbortSignal): Promise<boolean> {
  const { table } = group;
  const found = new Set<number>();
  const needed = new Set<number>();
  for (const slot of table.slots()) {
    if ((table.revision[slot] as number) <= 0) continue;
    const lease = table.lease[slot] as number;
    found.add(lease);
    if (table.isDesired(slot)) needed.add(lease);
  }
  // A lease on which only keys of an unfinished listing hang is needed too, as far as we can tell yet.
  const isNeeded = (index: number) => needed.has(index) || group.options.owns === 'prefix';
  await leases.adopt(found, isNeeded, signal);
  return [...found].some((index) => !leases.isOurs(index));
}

/** The revision of the store now; linearizable. */
export async function currentRevision(client: EtcdClient, root: EtcdKey, signal: AbortSignal): Promise<Revision> {
  for await (const page of client.list(keyOf(`${root}.revision/`), { signal, pageSize: 1, keysOnly: true })) return page.revision;
  throw new Error('a list yields at least one page');
}

/** Deletions seen while a section is being listed, to be applied once it is: the list may be older than they are. */
export class DeletionBuffer {
  readonly #deletions: WatchEvent[] = [];

  add(event: WatchEvent): void {
    this.#deletions.push(event);
  }

  applyTo(group: KeyGroup): void {
    for (const event of this.#deletions) group.observeDeletion(event.key, event.modRevision);
  }
}

export interface AuditFindings {
  /** Desired keys that somebody else wrote; they wait to be written again. */
  overwritten: number;
  /** Desired keys that vanished without a word of the watch. */
  deleted: number;
  /** Keys below a prefix that is ours alone, which nobody desires. */
  foreign: number;
}

export interface AuditOptions {
  readonly client: EtcdClient;
  readonly signal: AbortSignal;
  /** Only keys written since then; undefined compares everything. */
  readonly since: Revision | undefined;
}

/**
 * Compares the mod revisions of a section in etcd with our own and puts right what differs. Returns what it found and
 * the revision up to which it looked.
 */
export async function auditSection(
  group: KeyGroup,
  prefix: EtcdKey,
  options: AuditOptions,
): Promise<AuditFindings & { revision: Revision }> {
  const { client, signal, since } = options;
  const findings = { overwritten: 0, deleted: 0, foreign: 0, revision: 0 as Revision };
  const full = since === undefined;
  const before = full ? settledKeys(group) : undefined;
  const list = full ? { signal, keysOnly: true } : { signal, keysOnly: true, minModRevision: since };
  for await (const page of client.list(prefix, list)) {
    findings.revision = page.revision;
    for (const keyValue of page.keyValues) {
      before?.delete(keyValue.key);
      const found = await inspect(group, keyValue, client, signal);
      if (found !== undefined) findings[found] += 1;
    }
  }
  for (const [key, revision] of before ?? []) {
    // Deleted at a revision that the list saw: any later than what we knew, and not later than the list.
    if (group.observeDeletion(key, Math.max(revision + 1, 1) as Revision)) findings.deleted += 1;
  }
  return findings;
}

/** Keys that etcd holds for certain and that nothing is under way for, with their mod revisions. */
function settledKeys(group: KeyGroup): Map<EtcdKey, number> {
  const keys = new Map<EtcdKey, number>();
  for (const slot of group.table.slots()) {
    const revision = group.table.revision[slot] as number;
    if (revision > 0 && !group.isMoving(slot)) keys.set(group.table.key(slot), revision);
  }
  return keys;
}

async function inspect(
  group: KeyGroup,
  seen: KeyValue,
  client: EtcdClient,
  signal: AbortSignal,
): Promise<'overwritten' | 'foreign' | undefined> {
  const slot = group.table.slotOf(seen.key);
  const known = slot === undefined ? 0 : (group.table.revision[slot] as number);
  if (slot !== undefined && (known === UNKNOWN || known >= seen.modRevision || group.isMoving(slot))) return undefined;
  if (slot === undefined && group.options.owns !== 'prefix') return undefined;
  const current = await client.get(seen.key, { signal });
  if (current === undefined) return undefined;
  const now = group.table.slotOf(seen.key);
  if (now !== undefined && (group.isMoving(now) || (group.table.revision[now] as number) >= current.modRevision))
    return undefined;
  const observed = group.observe(current);
  if (!group.table.isDesired(observed)) {
    if (group.options.owns !== 'prefix') return undefined;
    group.requestRemoval(observed);
    return 'foreign';
  }
  if (group.table.holdsDesired(observed) && !group.needsMove(observed)) return undefined;
  group.requestMove(observed);
  return 'overwritten';
}
