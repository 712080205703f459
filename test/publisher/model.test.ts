/**
 * The publisher against a model: random words of a source, random trouble, one oracle.
 *
 * What etcd may hold under a key is one value, as a rule. Where the source's present value is refused, it is whatever was
 * there before; where only etcd knew that, others may change it for good.
 *
 * A failing run prints its seed and the shrunk sequence of steps; `PUBLISHER_SEED` repeats it, `PUBLISHER_RUNS` runs more.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EtcdClient, type EtcdKey, keyOf, NO_LEASE, type Revision, type WatchEvent } from '../../src/shared/etcd/types.ts';
import type { Section } from '../../src/shared/publisher/types.ts';
import { bytes, history, openClient, revisionOf } from '../support/etcd/etcd-client.ts';
import { compactEtcd } from '../support/etcd/etcd-gateway.ts';
import { type EtcdProcess, startEtcd } from '../support/etcd/etcd-process.ts';
import { until } from '../support/until.ts';
import { below, CANARY, PREFIX, type Rig, startRig, texts } from './publisher-fixture.ts';

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
type Name = (typeof KEYS)[number];

/** How the source reports a key with a rejected value; etcd alone detects the last one. */
type Refusal = 'keep' | 'too large' | 'too large for etcd';
const TOO_LARGE = Buffer.alloc(2 * 1024 * 1024);
const MAX_REQUEST_BYTES = 50_000;
const TOO_LARGE_FOR_ETCD = Buffer.alloc(2 * MAX_REQUEST_BYTES);

type Step =
  | { readonly kind: 'refuse'; readonly name: Name; readonly how: Refusal }
  | { readonly kind: 'upsert' | 'remove' | 'delete behind our back' | 'overwrite behind our back'; readonly name: Name }
  | { readonly kind: 'list again'; readonly cutAfter: number }
  | { readonly kind: 'restart'; readonly lost: readonly Name[] }
  | { readonly kind: 'revoke the leases' | 'plant a foreign key' | 'settle' | 'compact' | 'restart etcd' | 'stall etcd' };

const name = fc.constantFrom(...KEYS);
const how = fc.constantFrom<Refusal>('keep', 'too large', 'too large for etcd');
const calm: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('refuse' as const), name, how }) },
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
  etcd = await startEtcd({ args: [`--max-request-bytes=${MAX_REQUEST_BYTES}`] });
});
afterAll(async () => {
  await etcd.stop();
});

/** A value, or that there is none. */
type Held = string | undefined;

/** The source, the publisher, and what the oracle needs to remember. */
class World {
  /** The keys of the source, and how it reports them. */
  readonly #named = new Map<Name, string | { readonly refusal: Refusal }>();
  /** What etcd may hold in the end. */
  readonly #allowed = new Map<Name, Set<Held>>(KEYS.map((key) => [key, new Set([undefined])]));
  /** What etcd may have held since it was last certain: a write may have been carried out or not. */
  readonly #past = new Map<Name, Set<Held>>(KEYS.map((key) => [key, new Set([undefined])]));
  /** Keys whose value only etcd has. */
  readonly #unknown = new Set<Name>();
  /** How often each key was released: it may be deleted as often. */
  readonly forgotten = new Map<string, number>();
  readonly outside: EtcdClient = openClient(etcd.endpoint);
  since = 0 as Revision;
  #sequence = 0;
  #rig!: Rig;
  #section!: Section;

  async begin(): Promise<void> {
    await this.outside.txn([{ type: 'delete', key: keyOf('\0'), end: keyOf('\0') as EtcdKey }], {
      signal: AbortSignal.timeout(60_000),
    });
    this.since = await revisionOf(this.outside);
    this.#startPublisher();
  }

  async end(): Promise<void> {
    await this.#rig.stop();
    this.outside.close();
  }

  /** Resolves once nothing waits and etcd holds what it may hold: from then on that is certain. */
  async settled(): Promise<void> {
    let held: Record<string, string> = {};
    await until(
      'etcd holds what it may hold',
      async () => {
        if (this.#section.stats.pending > 0) return false;
        held = await texts(this.outside);
        const isForeign = Object.keys(held).some((key) => !this.#allowed.has(key as Name));
        return !isForeign && KEYS.every((key) => this.#setOf(this.#allowed, key).has(held[key]));
      },
      { status: () => ({ held, allowed: [...this.#allowed].map(([key, set]) => [key, ...set]), pending: this.#section.stats }) },
    );
    for (const key of KEYS) {
      this.#past.set(key, new Set([held[key]]));
      this.#allowed.set(key, new Set([held[key]]));
    }
  }

  /** The store was emptied: what only etcd knew is lost. */
  wiped(): void {
    for (const key of KEYS) this.#meddled(key, undefined);
  }

  async step(step: Step): Promise<void> {
    const { signal } = { signal: AbortSignal.timeout(60_000) };
    switch (step.kind) {
      case 'upsert': {
        this.#sequence += 1;
        this.#named.set(step.name, `${this.#sequence}`);
        this.#becomes(step.name, `${this.#sequence}`);
        this.#say(step.name);
        return;
      }
      case 'refuse':
        this.#refuse(step.name, step.how);
        this.#say(step.name);
        return;
      case 'remove':
        this.#forget(step.name);
        this.#section.remove(below(step.name));
        return;
      case 'list again':
        this.#section.interrupted('cut');
        for (const key of [...this.#named.keys()].slice(0, step.cutAfter)) this.#say(key);
        this.#section.interrupted('cut in the middle');
        this.#list();
        return;
      case 'restart':
        await this.#rig.stop();
        for (const lost of step.lost) this.#forget(lost);
        for (const [key, said] of this.#named) if (typeof said !== 'string') this.#onlyEtcdKnows(key);
        this.#startPublisher();
        return;
      case 'settle':
        return this.settled();
      case 'delete behind our back':
        this.#meddled(step.name, undefined);
        await this.outside.txn([{ type: 'delete', key: below(step.name) }], { signal });
        return;
      case 'overwrite behind our back':
        this.#meddled(step.name, 'foreign');
        await this.outside.txn([{ type: 'put', key: below(step.name), value: bytes('foreign'), lease: NO_LEASE }], { signal });
        return;
      case 'plant a foreign key':
        await this.outside.txn([{ type: 'put', key: below('foreign'), value: bytes('foreign'), lease: NO_LEASE }], { signal });
        return;
      case 'revoke the leases':
        this.wiped();
        return this.#revoke(signal);
      case 'compact':
        await compact(await revisionOf(this.outside));
        return;
      case 'restart etcd':
        return etcd.restart();
      case 'stall etcd':
        etcd.pause();
        await new Promise((resolve) => setTimeout(resolve, 20));
        etcd.resume();
    }
  }

  #setOf(sets: ReadonlyMap<Name, Set<Held>>, key: Name): Set<Held> {
    return sets.get(key) as Set<Held>;
  }

  #becomes(key: Name, value: Held): void {
    this.#unknown.delete(key);
    this.#allowed.set(key, new Set([value]));
    this.#setOf(this.#past, key).add(value);
  }

  #refuse(key: Name, refusal: Refusal): void {
    const isNamed = this.#named.has(key);
    this.#named.set(key, { refusal });
    // The value that etcd refuses has taken the place of the earlier one, which may never have been written.
    if (!isNamed || refusal === 'too large for etcd') this.#onlyEtcdKnows(key);
  }

  #onlyEtcdKnows(key: Name): void {
    this.#unknown.add(key);
    for (const held of this.#setOf(this.#past, key)) this.#setOf(this.#allowed, key).add(held);
  }

  /** Others have changed the key in etcd: what only etcd knew of it is not repaired. */
  #meddled(key: Name, held: Held): void {
    this.#setOf(this.#past, key).add(held);
    if (this.#unknown.has(key)) this.#setOf(this.#allowed, key).add(held);
  }

  #forget(key: Name): void {
    this.#named.delete(key);
    this.#becomes(key, undefined);
    this.forgotten.set(key, (this.forgotten.get(key) ?? 0) + 1);
  }

  #startPublisher(): void {
    this.#rig = startRig({ endpoint: etcd.endpoint, keysPerLease: 3, maxTxnOperations: 4, auditIntervalMs: 100 });
    this.#section = this.#rig.section();
    this.#list();
  }

  #say(key: Name): void {
    const said = this.#named.get(key);
    if (typeof said === 'string') this.#section.upsert(below(key), bytes(said));
    else if (said?.refusal === 'keep') this.#section.keep(below(key));
    else if (said !== undefined) this.#section.upsert(below(key), said.refusal === 'too large' ? TOO_LARGE : TOO_LARGE_FOR_ETCD);
  }

  #list(): void {
    for (const key of this.#named.keys()) this.#say(key);
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
  // Compacting what is compacted already is refused, and that is fine.
  await compactEtcd(etcd.endpoint, revision).catch(() => undefined);
}

async function play(steps: readonly Step[], judge: (world: World, events: WatchEvent[]) => void): Promise<void> {
  const world = new World();
  await world.begin();
  try {
    for (const step of steps) await world.step(step);
    await world.settled();
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
          const deletions = new Map<string, number>();
          for (const event of events) {
            if (!event.key.startsWith(PREFIX)) continue;
            const before = last.get(event.key);
            const key = event.key.slice(PREFIX.length);
            if (event.type === 'delete') deletions.set(key, (deletions.get(key) ?? 0) + 1);
            if (event.type === 'put' && before?.type === 'put') {
              expect(Number(event.value), `${key}: a value again, or an older one`).toBeGreaterThan(Number(before.value));
            }
            last.set(event.key, event);
          }
          for (const [key, count] of deletions)
            expect(count, `${key} was deleted although its source had it`).toBeLessThanOrEqual(world.forgotten.get(key) ?? 0);
        }),
      ),
      { numRuns: runs, ...seed },
    );
  },
  MODEL_TIMEOUT_MS,
);

test(
  'for any external changes and etcd faults, the prefix becomes equal to the desired keys',
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
          world.wiped();
          await world.settled();
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
