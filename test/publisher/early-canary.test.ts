/** A canary says that all data of its section is there: it comes back only after the data that vanished, however late that shows. */

import { expect, test } from 'vitest';
import { LeaseNotFoundError, UnavailableError } from '../../src/shared/etcd/errors.ts';
import { type EtcdClient, type EtcdKey, keyOf, NO_REVISION, type TxnOperation } from '../../src/shared/etcd/types.ts';
import type { Publisher } from '../../src/shared/publisher/types.ts';
import { bytes, history, revisionOf } from '../support/etcd/etcd-client.ts';
import { until } from '../support/until.ts';
import { type Meddling, startMeddled } from './meddling.ts';
import { below, CANARY, PREFIX, publisherFixture, signal, sync } from './publisher-fixture.ts';

const fixture = publisherFixture();
const SECTION = { scope: 'nodes/v1', cluster: 'west', prefix: PREFIX, rank: 0, owns: 'prefix', canary: CANARY } as const;
const NAMES = ['a', 'b', 'c', 'd'];
const HEARTBEAT = keyOf('cilium/.heartbeat');

const puts = (operations: readonly TxnOperation[], key: EtcdKey) =>
  operations.some((operation) => operation.type === 'put' && operation.key === key);
const remove = (real: EtcdClient, ...keys: EtcdKey[]) =>
  real.txn(
    keys.map((key) => ({ type: 'delete', key })),
    { signal: signal() },
  );

/** Some audits of the single keys go by: long enough for whatever is not held back. */
class Rounds {
  #count = 0;

  meddling(real: EtcdClient): Pick<EtcdClient, 'get'> {
    return {
      get: (key, options) => {
        if (key === HEARTBEAT) this.#count += 1;
        return real.get(key, options);
      },
    };
  }

  async pass(): Promise<void> {
    const from = this.#count;
    await until('some audits went by', () => this.#count >= from + 5);
  }
}

async function loaded(meddling: Meddling) {
  let repairs = 0;
  const observer = {
    transaction() {},
    syncError() {},
    rejected() {},
    synced() {},
    repair: (_: string, keys: number) => {
      repairs += keys;
    },
  };
  const { real, publisher } = startMeddled(fixture.etcd.endpoint, meddling, { auditIntervalMs: 20, observer });
  const section = publisher.section(SECTION);
  for (const name of NAMES) section.upsert(below(name), bytes('1'));
  await sync(section);
  await publisher.singles.put(HEARTBEAT, bytes('now'), signal());
  return { real, publisher, section, repaired: () => repairs };
}

/** How many keys were missing at each put of the canary after `since`. */
async function missingAtCanaries(real: EtcdClient, since: Awaited<ReturnType<typeof revisionOf>>): Promise<number[]> {
  const there = new Set<EtcdKey>(NAMES.map(below));
  const found: number[] = [];
  const events = await history(real, since);
  for (const { modRevision } of events.filter(({ key, type }) => key === CANARY && type === 'put')) {
    for (const { key, type, modRevision: at } of events)
      if (at <= modRevision && key.startsWith(PREFIX)) there[type === 'put' ? 'add' : 'delete'](key);
    found.push(NAMES.filter((name) => !there.has(below(name))).length);
  }
  return found;
}

/** The canary is deleted, and comes back after all keys. */
async function comesBackLast(
  { real, publisher }: { readonly real: EtcdClient; readonly publisher: Publisher },
  cause: () => Promise<unknown>,
): Promise<void> {
  const since = await revisionOf(real);
  await cause();
  await until('the canary is back', async () => (await real.get(CANARY, { signal: signal() })) !== undefined);
  await until('all is written', () => publisher.stats.pending === 0);
  const missing = await missingAtCanaries(real, since);
  expect(missing.length).toBeGreaterThan(0);
  expect(missing).toEqual(missing.map(() => 0));
}

test('keys vanish while the canary is being written, which fails: it is written after them', async () => {
  let state: 'calm' | 'armed' | 'gone' = 'calm';
  const rounds = new Rounds();
  let seen: () => number = () => 0;
  const world = await loaded((real) => ({
    ...rounds.meddling(real),
    txn: async (operations, options) => {
      if (state === 'armed' && puts(operations, CANARY)) {
        state = 'gone';
        const before = seen();
        await remove(real, below('a'), below('b'));
        await until('both are missed', () => seen() >= before + 2);
        throw new LeaseNotFoundError();
      }
      // The canary has time to overtake them.
      if (state === 'gone' && puts(operations, below('a'))) await rounds.pass();
      return real.txn(operations, options);
    },
  }));
  seen = world.repaired;
  state = 'armed';
  await comesBackLast(world, () => remove(world.real, CANARY));
});

test('a key vanishes while a write of it is answered: the canary waits for the write after that', async () => {
  let state: 'calm' | 'armed' | 'gone' = 'calm';
  const rounds = new Rounds();
  const world = await loaded((real) => ({
    ...rounds.meddling(real),
    txn: async (operations, options) => {
      if (state === 'gone' && puts(operations, below('a'))) await rounds.pass();
      const revision = await real.txn(operations, options);
      if (state === 'armed' && puts(operations, below('a'))) {
        state = 'gone';
        await remove(real, below('a'), CANARY);
        await rounds.pass();
      }
      return revision;
    },
  }));
  const { section } = world;
  await rounds.pass();
  await comesBackLast(world, async () => {
    state = 'armed';
    section.upsert(below('a'), bytes('2'));
    await until('it is gone', () => state === 'gone');
  });
});

/** Deletions are not seen, until the history is compacted. Sections are listed again only after the single keys were. */
function blinded(rounds: Rounds) {
  const { promise: compacted, resolve: compact } = Promise.withResolvers<void>();
  let isBlind = true;
  const meddling = (real: EtcdClient): Partial<EtcdClient> => ({
    ...rounds.meddling(real),
    watch: async function* (prefix, options) {
      if (!isBlind) {
        yield* real.watch(prefix, options);
        return;
      }
      await Promise.race([compacted, new Promise((resolve) => options.signal.addEventListener('abort', resolve))]);
      isBlind = false;
      yield { kind: 'compacted', compactRevision: NO_REVISION };
    },
    list: async function* (prefix, options) {
      if (!isBlind && prefix === PREFIX && options.keysOnly !== true) await rounds.pass();
      yield* real.list(prefix, options);
    },
  });
  return { meddling, compact };
}

test('keys and their canary vanish unseen, and the history is compacted: the canary waits for the new listing', async () => {
  const rounds = new Rounds();
  const { meddling, compact } = blinded(rounds);
  const world = await loaded(meddling);
  await comesBackLast(world, async () => {
    await remove(world.real, below('a'), CANARY);
    compact();
  });
});

test('the history is compacted while the canary is being written, which fails: it waits for the new listing', async () => {
  const rounds = new Rounds();
  const { meddling, compact } = blinded(rounds);
  let isArmed = false;
  const world = await loaded((real) => ({
    ...meddling(real),
    txn: async (operations, options) => {
      if (!isArmed || !puts(operations, CANARY)) return real.txn(operations, options);
      isArmed = false;
      await remove(real, below('a'));
      compact();
      throw new UnavailableError('gone');
    },
  }));
  isArmed = true;
  await comesBackLast(world, () => remove(world.real, CANARY));
});

test('the write of the canary fails, and keys vanish unseen meanwhile: it is written after them', async () => {
  const rounds = new Rounds();
  const { meddling } = blinded(rounds);
  let isArmed = false;
  const world = await loaded((real) => ({
    ...meddling(real),
    txn: async (operations, options) => {
      if (!isArmed || !puts(operations, CANARY)) return real.txn(operations, options);
      isArmed = false;
      await remove(real, below('a'), below('b'));
      throw new UnavailableError('gone');
    },
  }));
  isArmed = true;
  await comesBackLast(world, () => remove(world.real, CANARY));
});

test('an audit finds the canary gone before it shows that keys are: it is written after them', async () => {
  const rounds = new Rounds();
  const { meddling } = blinded(rounds);
  const world = await loaded(meddling);
  await comesBackLast(world, () => remove(world.real, below('a'), below('b'), CANARY));
});
