/**
 * The publisher against a model: random words of a source, random trouble, one oracle.
 *
 * A failing run prints its seed and the shrunk sequence of steps; `PUBLISHER_SEED` repeats it, `PUBLISHER_RUNS` runs more.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EtcdClient, type EtcdKey, keyOf, NO_LEASE, type Revision, type WatchEvent } from '../../src/shared/etcd/types.ts';
import type { Section } from '../../src/shared/publisher/types.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd-process.ts';
import { until } from '../support/until.ts';
import { below, bytes, CANARY, connect, history, PREFIX, type Rig, revisionNow, settledAs, startRig } from './rig.ts';

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
type Name = (typeof KEYS)[number];

type Step =
  | { readonly kind: 'upsert' | 'remove' | 'delete behind our back' | 'overwrite behind our back'; readonly name: Name }
  | { readonly kind: 'list again'; readonly cutAfter: number }
  | { readonly kind: 'restart'; readonly lost: readonly Name[] }
  | { readonly kind: 'revoke the leases' | 'plant a foreign key' | 'settle' | 'compact' | 'restart etcd' | 'stall etcd' };

const name = fc.constantFrom(...KEYS);
const calm: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('upsert' as const), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('list again' as const), cutAfter: fc.nat(6) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), lost: fc.subarray([...KEYS], { maxLength: 2 }) }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'compact' as const }) },
);
const rough: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: calm },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete behind our back' as const), name }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('overwrite behind our back' as const), name }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Step>(
      { kind: 'revoke the leases' },
      { kind: 'plant a foreign key' },
      { kind: 'restart etcd' },
      { kind: 'stall etcd' },
    ),
  },
);

let etcd: EtcdProcess;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(async () => {
  await etcd.stop();
});

/** The source, the publisher, and what the oracle needs to remember. */
class World {
  readonly desired = new Map<Name, string>();
  /** Keys that were not desired at some time since the first listing: only these may be deleted. */
  readonly everUndesired = new Set<Name>(KEYS);
  readonly outside: EtcdClient = connect(etcd.endpoint);
  since = 0 as Revision;
  #sequence = 0;
  #rig!: Rig;
  #section!: Section;

  async begin(): Promise<void> {
    await this.outside.txn([{ type: 'delete', key: keyOf('\0'), end: keyOf('\0') as EtcdKey }], {
      signal: AbortSignal.timeout(60_000),
    });
    this.since = await revisionNow(this.outside);
    this.#startPublisher();
  }

  async end(): Promise<void> {
    await this.#rig.stop();
    this.outside.close();
  }

  get expected(): Record<string, string> {
    return Object.fromEntries(this.desired);
  }

  async step(step: Step): Promise<void> {
    const { signal } = { signal: AbortSignal.timeout(60_000) };
    switch (step.kind) {
      case 'upsert': {
        this.#sequence += 1;
        this.desired.set(step.name, `${this.#sequence}`);
        this.#section.upsert(below(step.name), bytes(`${this.#sequence}`));
        return;
      }
      case 'remove':
        this.#forget(step.name);
        this.#section.remove(below(step.name));
        return;
      case 'list again':
        this.#section.interrupted('cut');
        for (const [key, value] of [...this.desired].slice(0, step.cutAfter)) this.#section.upsert(below(key), bytes(value));
        this.#section.interrupted('cut in the middle');
        this.#list();
        return;
      case 'restart':
        await this.#rig.stop();
        for (const lost of step.lost) this.#forget(lost);
        this.#startPublisher();
        return;
      case 'settle':
        return settledAs(this.outside, this.expected);
      case 'delete behind our back':
        await this.outside.txn([{ type: 'delete', key: below(step.name) }], { signal });
        return;
      case 'overwrite behind our back':
        await this.outside.txn([{ type: 'put', key: below(step.name), value: bytes('foreign'), lease: NO_LEASE }], { signal });
        return;
      case 'plant a foreign key':
        await this.outside.txn([{ type: 'put', key: below('foreign'), value: bytes('foreign'), lease: NO_LEASE }], { signal });
        return;
      case 'revoke the leases':
        return this.#revoke(signal);
      case 'compact':
        await compact(await revisionNow(this.outside));
        return;
      case 'restart etcd':
        return etcd.restart();
      case 'stall etcd':
        etcd.pause();
        await new Promise((resolve) => setTimeout(resolve, 20));
        etcd.resume();
    }
  }

  #forget(key: Name): void {
    this.desired.delete(key);
    this.everUndesired.add(key);
  }

  #startPublisher(): void {
    this.#rig = startRig({ endpoint: etcd.endpoint, keysPerLease: 3, maxTxnOperations: 4, auditIntervalMs: 100 });
    this.#section = this.#rig.section();
    this.#list();
  }

  #list(): void {
    for (const [key, value] of this.desired) this.#section.upsert(below(key), bytes(value));
    this.#section.listed();
  }

  async #revoke(signal: AbortSignal): Promise<void> {
    for await (const page of this.outside.list(PREFIX, { signal })) {
      for (const { lease } of page.keyValues)
        if (lease !== NO_LEASE) await this.outside.revokeLease(lease, { signal }).catch(() => undefined);
    }
  }
}

async function compact(revision: Revision): Promise<void> {
  const response = await fetch(`${etcd.endpoint}/v3/kv/compaction`, {
    method: 'POST',
    body: JSON.stringify({ revision: String(revision) }),
  });
  // Compacting what is compacted already is refused, and that is fine.
  await response.arrayBuffer();
}

async function play(steps: readonly Step[], judge: (world: World, events: WatchEvent[]) => void): Promise<void> {
  const world = new World();
  await world.begin();
  try {
    for (const step of steps) await world.step(step);
    await settledAs(world.outside, world.expected);
    await until('the canary is there', () => world.outside.get(CANARY, { signal: AbortSignal.timeout(60_000) }));
    const compacted = steps.some(({ kind }) => kind === 'compact');
    judge(world, compacted ? [] : await history(world.outside, world.since));
  } finally {
    await world.end();
  }
}

const MODEL_TIMEOUT_MS = 900_000;
const runs = Number(process.env.PUBLISHER_RUNS ?? 25);
const seed = process.env.PUBLISHER_SEED === undefined ? {} : { seed: Number(process.env.PUBLISHER_SEED) };

test(
  'with a calm etcd the prefix becomes what is desired, with no needless write, no early delete, and in order',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(calm, { minLength: 5, maxLength: 40 }), (steps) =>
        play(steps, (world, events) => {
          const last = new Map<EtcdKey, WatchEvent>();
          for (const event of events) {
            if (!event.key.startsWith(PREFIX)) continue;
            const before = last.get(event.key);
            const key = event.key.slice(PREFIX.length) as Name;
            if (event.type === 'delete')
              expect(world.everUndesired, `${key} was deleted though desired throughout`).toContain(key);
            if (event.type === 'put' && before?.type === 'put') {
              expect(Number(event.value), `${key}: a value again, or an older one`).toBeGreaterThan(Number(before.value));
            }
            last.set(event.key, event);
          }
        }),
      ),
      { numRuns: runs, ...seed },
    );
  },
  MODEL_TIMEOUT_MS,
);

test(
  'whatever others and etcd itself do, the prefix becomes what is desired',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rough, { minLength: 5, maxLength: 30 }), (steps) => play(steps, () => undefined)),
      { numRuns: runs, ...seed },
    );
  },
  MODEL_TIMEOUT_MS,
);

test(
  'an etcd that was wiped gets its data before its canary',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(calm, { minLength: 3, maxLength: 15 }), async (steps) => {
        const world = new World();
        await world.begin();
        try {
          for (const step of steps) await world.step(step);
          await world.step({ kind: 'settle' });
          await etcd.restart({ wipe: true });
          await settledAs(world.outside, world.expected);
          await until('the canary is there', () => world.outside.get(CANARY, { signal: AbortSignal.timeout(60_000) }));
          const events = await history(world.outside, 0 as Revision);
          const canary = events.find(({ key }) => key === CANARY);
          for (const { key, modRevision } of events.filter(({ type, key: k }) => type === 'put' && k.startsWith(PREFIX))) {
            expect(modRevision, `${key} came after the canary`).toBeLessThan(canary?.modRevision ?? 0);
          }
        } finally {
          await world.end();
        }
      }),
      { numRuns: Math.ceil(runs / 5), ...seed },
    );
  },
  MODEL_TIMEOUT_MS,
);
