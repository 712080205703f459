/**
 * What holds when a daemon was started again over an etcd that an earlier run has filled.
 */
import type { KeyValue } from '../../../support/etcd/etcd-gateway.ts';
import type { DumpEntry } from '../recording/etcd-dump.ts';

const CANARIES = 'cilium/synced/';

/** Whether anything of the cluster is announced to be complete. */
export function isAnnounced(cluster: string, now: readonly KeyValue[]): boolean {
  return now.some(({ key }) => key.toString('latin1').startsWith(`${CANARIES}${cluster}/`));
}

/** Whether each canary that is `expected` was written since `before`. */
export function areAnnouncedAnew(expected: readonly DumpEntry[], before: readonly KeyValue[], now: readonly KeyValue[]): boolean {
  const [then, after] = [byKey(before), byKey(now)];
  return expected
    .filter(({ key }) => key.startsWith(CANARIES))
    .every(({ key }) => after.has(key) && after.get(key)?.modRevision !== then.get(key)?.modRevision);
}

/** One line for each key that was written although it had its value. Timestamps are written by each run. */
export function repeatedWrites(before: readonly KeyValue[], after: readonly KeyValue[]): readonly string[] {
  const now = byKey(after);
  const lines: string[] = [];
  for (const [key, { value, modRevision }] of byKey(before)) {
    const then = now.get(key);
    const isTime = key.startsWith(CANARIES) || key === 'cilium/.heartbeat';
    if (isTime || then === undefined || !then.value.equals(value) || then.modRevision === modRevision) continue;
    lines.push(`written twice ${key}`);
  }
  return lines;
}

function byKey(entries: readonly KeyValue[]): ReadonlyMap<string, KeyValue> {
  return new Map(entries.map((entry) => [entry.key.toString('latin1'), entry]));
}
