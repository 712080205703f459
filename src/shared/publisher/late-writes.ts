/**
 * Transactions that etcd carries out late: it had received them, but their responses did not arrive, and newer values were
 * written since. Only clients that are not fenced leave that possible (fenced-client.ts).
 *
 * They are found by a watch for puts, which runs only for a while after a transaction failed that way: every other write comes back as an
 * event of it, too.
 */
import {
  type EtcdClient,
  type EtcdKey,
  keyText,
  type LeaseId,
  NO_REVISION,
  type Revision,
  type WatchEvent,
} from '../etcd/types.ts';
import type { Logger } from '../process/log.ts';
import { LinkedAbort } from '../time/abort.ts';
import type { Clock } from '../time/clock.ts';
import { type AuditedSection, inspect, mayRemoveFrom } from './audit.ts';
import { currentRevision } from './observed-keys.ts';
import { FLAG_IN_FLIGHT, UNKNOWN } from './store/key-table.ts';
import { putAs } from './store/touch.ts';
import type { PublisherObserver, RepairReason, SectionOptions } from './types.ts';
import { waiters } from './writer/waiters.ts';

/** How long puts are watched after a write with an unknown outcome, which etcd may carry out later. After that audits find it. */
const LATE_WRITES_WATCH_MS = 10 * 60_000;

/** Repairs of one key by that watch between two audits, and keys that are counted: two writers must not answer each other endlessly. */
const MAX_LATE_REPAIRS_PER_KEY = 5;
const MAX_LATE_KEYS = 10_000;

/** When to look for them, and how often to repair what they did. */
export class LateWrites {
  readonly #clock: Clock;
  readonly #waiters = waiters();
  readonly #repairs = new Map<EtcdKey, number>();
  #untilMs = Number.NEGATIVE_INFINITY;
  #from = NO_REVISION;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** None can be carried out any more, or so long ago that audits have to find it. */
  get isOver(): boolean {
    return this.#clock.monotonicMs() >= this.#untilMs;
  }

  /** A transaction failed with an unknown outcome, when everything up to `confirmed` was. Its keys are written again later than that. */
  expect(confirmed: Revision): void {
    if (this.isOver) this.#from = (confirmed + 1) as Revision;
    this.#untilMs = this.#clock.monotonicMs() + LATE_WRITES_WATCH_MS;
    this.#waiters.wake();
  }

  /** The store is another one. */
  forget(): void {
    this.#untilMs = Number.NEGATIVE_INFINITY;
  }

  /** Resolves while one may be carried out, with the first revision to watch; rejects with the signal's reason. */
  async expected(signal: AbortSignal): Promise<{ from: Revision }> {
    while (this.isOver) await this.#waiters.wait(signal);
    return { from: this.#from };
  }

  /** Resolves when none is expected any more, as far as that is known now; rejects with the signal's reason. */
  elapsed(signal: AbortSignal): Promise<void> {
    return this.#clock.sleep(Math.max(0, this.#untilMs - this.#clock.monotonicMs()), signal);
  }

  /** False where the key was repaired so often that another writer may answer each repair; then audits do it. */
  mayRepair(key: EtcdKey): boolean {
    const repairs = this.#repairs.get(key);
    return repairs === undefined ? this.#repairs.size < MAX_LATE_KEYS : repairs < MAX_LATE_REPAIRS_PER_KEY;
  }

  repaired(key: EtcdKey): void {
    this.#repairs.set(key, (this.#repairs.get(key) ?? 0) + 1);
  }

  /** An audit begins. */
  audited(): void {
    this.#repairs.clear();
  }
}

interface LateWritesOptions {
  readonly client: EtcdClient;
  readonly root: EtcdKey;
  readonly sectionOf: (key: EtcdKey) => (AuditedSection & { readonly options: SectionOptions }) | undefined;
  readonly observer: PublisherObserver;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Watches whenever one is expected. Resolves with the reason when the store was replaced; rejects with the signal's reason. */
export async function watchLateWrites(expectation: LateWrites, options: LateWritesOptions): Promise<string> {
  const { client, root, signal } = options;
  for (;;) {
    let { from } = await expectation.expected(signal);
    while (!expectation.isOver) {
      const time = new LinkedAbort(signal);
      const elapsed = expectation.elapsed(time.signal).then(
        () => time.abort(),
        () => undefined,
      );
      try {
        const replaced = await watchPuts(expectation, from, { ...options, signal: time.signal });
        if (replaced !== undefined) return replaced;
      } finally {
        time.abort();
        await elapsed;
      }
      signal.throwIfAborted();
      // The time was extended, or the history is gone: then the next audit compares what happened.
      from = ((await currentRevision(client, root, signal)) + 1) as Revision;
    }
  }
}

/** Resolves when the signal is aborted, with nothing, as where the history was compacted; or with the reason when the store was replaced. */
async function watchPuts(expectation: LateWrites, from: Revision, options: LateWritesOptions): Promise<string | undefined> {
  const { client, root, signal, observer, log } = options;
  for await (const batch of client.watch(root, { signal, from })) {
    if (batch.kind === 'replaced') return batch.reason;
    if (batch.kind === 'compacted') return undefined;
    if (batch.kind !== 'events') continue;
    const repaired = { overwritten: 0, foreign: 0 };
    let first: EtcdKey | undefined;
    for (const event of batch.events) {
      const found = event.type === 'put' && expectation.mayRepair(event.key) ? await repair(event, options) : undefined;
      if (found !== 'overwritten' && found !== 'foreign') continue;
      expectation.repaired(event.key);
      first ??= event.key;
      repaired[found] += 1;
    }
    if (first === undefined) continue;
    for (const reason of ['overwritten', 'foreign'] as const) if (repaired[reason] > 0) observer.repair(reason, repaired[reason]);
    log.warn({ ...repaired, key: keyText(first) }, 'etcd carried out an earlier write late; restoring the keys');
  }
  return undefined;
}

/** Single keys are left to the audits, which know that the time in a canary or heartbeat does not matter. */
async function repair(
  event: WatchEvent & { readonly type: 'put' },
  { client, sectionOf, signal }: LateWritesOptions,
): Promise<RepairReason | undefined> {
  const section = sectionOf(event.key);
  if (section === undefined || !section.group.isKnown) return undefined;
  const { group } = section;
  const slot = group.table.slotOf(event.key);
  if (slot === undefined) return isForeign(section, event) ? inspect(section, event, { client, signal }) : undefined;
  // It waits to be written in any case, and its present state may be a later one.
  if (group.table.revision[slot] === UNKNOWN && !group.table.has(slot, FLAG_IN_FLIGHT)) return undefined;
  return group.touched(event.key, putAs(event));
}

function isForeign({ group, isComplete }: AuditedSection, { lease }: { readonly lease: LeaseId }): boolean {
  return isComplete && mayRemoveFrom(lease, group);
}
