/**
 * Detects by comparison what no watch reports: keys that were written externally, and keys that disappeared unnoticed.
 *
 * Mod revisions are compared with our own, values only if these differ. Keys that are being written are compared with
 * the response.
 */
import { type EtcdClient, type EtcdKey, type KeyValue, type LeaseId, NO_LEASE, type Revision } from '../etcd/types.ts';
import type { Turns } from '../time/turns.ts';
import { rangeOf } from './audit-ranges.ts';
import { ABSENT, FLAG_KEPT, FLAG_SEEN, type KeyTable, type Slot, UNKNOWN } from './store/key-table.ts';
import { deletedAt, putAs } from './store/touch.ts';
import { walk } from './store/walk.ts';
import type { RepairReason, SectionOptions } from './types.ts';
import type { KeyGroup } from './writer/key-group.ts';

export interface AuditFindings {
  /** Desired keys that were written externally; they are queued for writing. */
  overwritten: number;
  /** Desired keys that disappeared without an event of the watch. */
  deleted: number;
  /** Keys that are not desired: all of those below an exclusive prefix, elsewhere those on leases of ours. */
  foreign: number;
}

export interface AuditOptions {
  readonly client: EtcdClient;
  readonly turns: Turns;
  readonly signal: AbortSignal;
}

export interface AuditedSection {
  readonly group: KeyGroup;
  readonly options: Pick<SectionOptions, 'prefix'>;
  /** The source has named all keys: others are stale. */
  readonly isComplete: boolean;
}

/** `since`: keys written before it were compared; undefined to compare all. */
export interface SectionAudit {
  readonly section: AuditedSection;
  readonly since: Revision | undefined;
}

/**
 * Compares sections in etcd with their known state and repairs differences, with one list for all: they are ordered as
 * `sharedRanges` orders them, and all or none have `since`. A section that is released in the course of it is left alone, as are keys of no
 * section. Returns what was found in each, and the revision up to which they were compared.
 */
export async function auditSections(
  audits: readonly SectionAudit[],
  options: AuditOptions,
): Promise<{ readonly revision: Revision; readonly findings: readonly AuditFindings[] }> {
  const { client, turns, signal } = options;
  const findings = audits.map(() => ({ overwritten: 0, deleted: 0, foreign: 0 }));
  const isFull = audits.some(({ since }) => since === undefined);
  const { prefix, start, end } = rangeOf(audits.map(({ section }) => section.options.prefix));
  const oldest = Math.min(...audits.map(({ since = 0 }) => since)) as Revision;
  let revision = 0 as Revision;
  if (isFull)
    for (const { section } of audits) {
      const { table } = section.group;
      await walk(table, turns, (slot) => table.clear(slot, FLAG_SEEN));
    }
  const list = { signal, keysOnly: true, start, end };
  let at = 0;
  for await (const page of client.list(prefix, isFull ? list : { ...list, minModRevision: oldest })) {
    revision = page.revision;
    for (const keyValue of page.keyValues) {
      at = sectionAt(audits, at, keyValue.key);
      const audit = audits[at];
      if (audit === undefined) continue;
      const found = see(audit, keyValue) ? await inspect(audit.section, keyValue, options) : undefined;
      if (found !== undefined) (findings[at] as AuditFindings)[found] += 1;
      if (turns.isOver()) await turns.turn();
    }
  }
  if (isFull)
    for (const [place, { section }] of audits.entries())
      (findings[place] as AuditFindings).deleted = await findVanished(section.group, revision, turns);
  return { revision, findings };
}

/** The place, from `from` on, of the section that may have `key`: the first one that does not end before it. */
function sectionAt(audits: readonly SectionAudit[], from: number, key: EtcdKey): number {
  for (let at = from; at < audits.length; at += 1) {
    const { prefix } = (audits[at] as SectionAudit).section.options;
    if (key.startsWith(prefix) || key < prefix) return at;
  }
  return audits.length;
}

/** From so many single keys below a prefix on, the prefix is listed: with hundreds of remote clusters there are thousands of canaries. */
const LISTED_SINGLES = 32;

/** Compares every single key with what etcd holds. Calls `onRepair` for each that is written again. */
export async function auditSingles(
  group: KeyGroup,
  onRepair: (reason: RepairReason, key: EtcdKey) => void,
  { client, signal }: AuditOptions,
): Promise<void> {
  const { table } = group;
  const compare = (key: EtcdKey, before: number, keyValue: KeyValue | undefined) => {
    const slot = table.slotOf(key);
    if (slot === undefined || (keyValue !== undefined && saysTheSame(group, slot, keyValue))) return;
    // A deletion has no revision here: it was later than what was known before the key was read.
    const touch = keyValue === undefined ? deletedAt((before + 1) as Revision) : putAs(keyValue);
    const reason = keyValue === undefined && before <= ABSENT ? undefined : group.touched(key, touch);
    if (reason !== undefined) onRepair(reason, key);
  };
  for (const [prefix, slots] of byPrefix(table)) {
    const before = new Map(slots.map((slot) => [table.key(slot), table.revision[slot] as number]));
    if (prefix === '' || before.size < LISTED_SINGLES) {
      for (const [key, revision] of before) {
        const keyValue = await client.get(key, { signal });
        if (!group.isKnown) return;
        compare(key, revision, keyValue);
      }
      continue;
    }
    for await (const page of client.list(prefix, { signal })) {
      if (!group.isKnown) return;
      for (const keyValue of page.keyValues) {
        const revision = before.get(keyValue.key);
        if (revision === undefined) continue;
        before.delete(keyValue.key);
        compare(keyValue.key, revision, keyValue);
      }
    }
    for (const [key, revision] of before) compare(key, revision, undefined);
  }
}

/** The slots of single keys by the first two parts of their keys, such as `cilium/synced/`; empty for a key that has no more. */
function byPrefix(table: KeyTable): Map<EtcdKey, Slot[]> {
  const found = new Map<EtcdKey, Slot[]>();
  for (const slot of table.slots()) {
    const key = table.key(slot);
    const prefix = key.slice(0, key.indexOf('/', key.indexOf('/') + 1) + 1) as EtcdKey;
    const slots = found.get(prefix) ?? [];
    slots.push(slot);
    found.set(prefix, slots);
  }
  return found;
}

/** RFC 3339 with seconds, as canaries and heartbeats have it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const TIME_BYTES = 20;

/**
 * A canary or heartbeat of another writer is equivalent whatever its time: two writers would otherwise replace each other's
 * endlessly. It must be attached to a lease, or it would never expire.
 */
function saysTheSame({ table }: KeyGroup, slot: Slot, { value, lease }: KeyValue): boolean {
  return lease !== NO_LEASE && table.isDesired(slot) && isTime(value) && isTime(table.value(slot));
}

function isTime(value: Uint8Array): boolean {
  return value.length === TIME_BYTES && TIME.test(Buffer.from(value).toString('latin1'));
}

/** Marks the key. True where it was written externally since its last known state, or this cannot be determined. */
function see({ section, since }: SectionAudit, seen: KeyValue): boolean {
  const { group, options, isComplete } = section;
  if (!seen.key.startsWith(options.prefix) || !group.isKnown) return false;
  const slot = group.table.slotOf(seen.key);
  if (slot !== undefined) group.table.set(slot, FLAG_SEEN);
  if (since !== undefined && seen.modRevision < since) return false;
  if (slot === undefined) return isComplete && mayRemoveFrom(seen.lease, group);
  const known = group.table.revision[slot] as number;
  return known < seen.modRevision && (known !== UNKNOWN || !group.isMoving(slot));
}

/** A key that the source does not name may be removed where it was found on this lease. */
export function mayRemoveFrom(lease: LeaseId, { options }: KeyGroup): boolean {
  return options.owns === 'prefix' || options.leases.hasOurs(lease);
}

/** Reads a key that was written externally, and repairs it where it is not as desired. */
export async function inspect(
  section: AuditedSection,
  seen: Pick<KeyValue, 'key'>,
  { client, signal }: Pick<AuditOptions, 'client' | 'signal'>,
): Promise<'overwritten' | 'foreign' | undefined> {
  const { group } = section;
  const { table } = group;
  const current = await client.get(seen.key, { signal });
  if (current === undefined || !group.isKnown) return undefined;
  const slot = table.slotOf(seen.key);
  const reason = slot === undefined ? undefined : group.touched(seen.key, putAs(current));
  if (reason !== undefined) return reason === 'foreign' ? 'foreign' : 'overwritten';
  if (!section.isComplete || !mayRemoveFrom(current.lease, group)) return undefined;
  if (slot !== undefined && (table.isDesired(slot) || table.has(slot, FLAG_KEPT) || group.isMoving(slot))) return undefined;
  const foreign = slot ?? group.observe(current);
  table.set(foreign, FLAG_SEEN);
  group.dropStale(foreign);
  return 'foreign';
}

/** Keys that etcd held at `revision` as far as we knew, and that were not found there. */
async function findVanished(group: KeyGroup, revision: Revision, turns: Turns): Promise<number> {
  const { table } = group;
  if (!group.isKnown) return 0;
  let deleted = 0;
  await walk(
    table,
    turns,
    (slot) => {
      const known = table.revision[slot] as number;
      if (table.has(slot, FLAG_SEEN) || known === ABSENT || known > revision) return;
      if (group.touched(table.key(slot), deletedAt(revision)) !== undefined) deleted += 1;
    },
    () => group.isKnown,
  );
  return deleted;
}
