/**
 * Detects by comparison what no watch reports: keys that were written externally, and keys that disappeared unnoticed.
 *
 * Mod revisions are compared with our own, values only if these differ. Keys that are being written are compared with
 * the response.
 */
import { type EtcdClient, type EtcdKey, type KeyValue, NO_LEASE, type Revision } from '../etcd/types.ts';
import type { Turns } from '../time/turns.ts';
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
  /** Keys below an exclusive prefix that are not desired. */
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

/**
 * Compares a section in etcd with its known state, for keys written since a revision or, if that is undefined, for all, and
 * repairs differences. Returns what it found and the revision up to which it compared.
 */
export async function auditSection(
  section: AuditedSection,
  since: Revision | undefined,
  options: AuditOptions,
): Promise<AuditFindings & { revision: Revision }> {
  const { client, turns, signal } = options;
  const { group } = section;
  const { table } = group;
  const findings = { overwritten: 0, deleted: 0, foreign: 0, revision: 0 as Revision };
  const isFull = since === undefined;
  if (isFull) await walk(table, turns, (slot) => table.clear(slot, FLAG_SEEN));
  const list = isFull ? { signal, keysOnly: true } : { signal, keysOnly: true, minModRevision: since };
  for await (const page of client.list(section.options.prefix, list)) {
    findings.revision = page.revision;
    for (const keyValue of page.keyValues) {
      const slot = table.slotOf(keyValue.key);
      if (slot !== undefined) table.set(slot, FLAG_SEEN);
      const found = isNews(section, slot, keyValue) ? await inspect(section, keyValue, options) : undefined;
      if (found !== undefined) findings[found] += 1;
      if (turns.isOver()) await turns.turn();
    }
  }
  if (isFull) findings.deleted = await findVanished(group, findings.revision, turns);
  return findings;
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

/** The key was written externally since its last known state, or this cannot be determined. */
function isNews({ group, isComplete }: AuditedSection, slot: Slot | undefined, seen: KeyValue): boolean {
  if (slot === undefined) return group.options.owns === 'prefix' && isComplete;
  const known = group.table.revision[slot] as number;
  return known < seen.modRevision && (known !== UNKNOWN || !group.isMoving(slot));
}

async function inspect(
  section: AuditedSection,
  seen: KeyValue,
  { client, signal }: AuditOptions,
): Promise<'overwritten' | 'foreign' | undefined> {
  const { group } = section;
  const { table } = group;
  const current = await client.get(seen.key, { signal });
  if (current === undefined || !group.isKnown) return undefined;
  const slot = table.slotOf(seen.key);
  if (slot !== undefined && group.touched(seen.key, putAs(current)) !== undefined) return 'overwritten';
  if (group.options.owns !== 'prefix' || !section.isComplete) return undefined;
  if (slot !== undefined && (table.isDesired(slot) || table.has(slot, FLAG_KEPT) || group.isMoving(slot))) return undefined;
  const foreign = slot ?? group.observe(current);
  table.set(foreign, FLAG_SEEN);
  group.dropStale(foreign);
  return 'foreign';
}

/** Keys that etcd held at `revision` as far as we knew, and that were not found there. */
async function findVanished(group: KeyGroup, revision: Revision, turns: Turns): Promise<number> {
  const { table } = group;
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
