import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { SourceReplacedError } from '../../../src/kvstoremesh/errors.ts';
import { runEtcdSource } from '../../../src/kvstoremesh/mirror/etcd-source.ts';
import { ClusterChangedError, UnavailableError } from '../../../src/shared/etcd/errors.ts';
import { keyOf, type Revision } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import type { Sink } from '../../../src/shared/publisher/types.ts';
import type { Clock } from '../../../src/shared/time/clock.ts';
import { Turns } from '../../../src/shared/time/turns.ts';
import { ManualClock } from '../../support/clocks.ts';
import { until } from '../../support/until.ts';
import { keyValue, page, put, removed, type Script, scriptedClient } from '../scripted-client.ts';

const PREFIX = keyOf('k/');

let clock: ManualClock;
let words: string[];
let stop: AbortController;

beforeEach(() => {
  clock = new ManualClock();
  words = [];
  stop = new AbortController();
});

function run(script: Script): Promise<unknown> {
  const sink: Sink = {
    upsert: (key, value) => void words.push(`${key}=${Buffer.from(value)}`),
    remove: (key) => void words.push(`-${key}`),
    listed: () => void words.push('listed'),
    interrupted: () => void words.push('interrupted'),
  };
  const client = scriptedClient(script);
  const running = runEtcdSource({ client, prefix: PREFIX, sink, clock, log: silentLogger, signal: stop.signal });
  return running.catch((thrown: unknown) => thrown);
}

describe('a prefix of a remote etcd', () => {
  test('is listed page by page, then followed from the next revision on', async () => {
    let from = 0;
    const ended = run({
      list: () => [page(7, keyValue('k/a', '1'), keyValue('k/b', '2')), page(7, keyValue('k/c', '3'))],
      watch: (_, revision) => {
        from = revision;
        return [put('k/d', '4', 9), { kind: 'progress', revision: 10 as Revision }, removed('k/a', 11)];
      },
    });
    await clock.advance(0);
    expect(words).toEqual(['k/a=1', 'k/b=2', 'k/c=3', 'listed', 'k/d=4', '-k/a']);
    expect(from).toBe(8);
    const reason = new Error('stopped');
    stop.abort(reason);
    expect(await ended).toBe(reason);
    expect(clock.sleeping).toBe(0);
  });

  test('is listed again after a time, for changes that its watch missed', async () => {
    let listings = 0;
    const { signal } = stop;
    const sink: Sink = {
      upsert: (key, value) => void words.push(`${key}=${Buffer.from(value)}`),
      remove: (key) => void words.push(`-${key}`),
      listed: () => void words.push('listed'),
      interrupted: (reason) => void words.push(reason),
    };
    const client = scriptedClient({
      list: () => {
        listings += 1;
        return [page(listings, keyValue(`k/${listings}`, 'x'))];
      },
    });
    const ended = runEtcdSource({ client, prefix: PREFIX, sink, clock, log: silentLogger, signal, relistMs: 60_000 }).catch(
      () => 1,
    );
    await clock.advance(59_000);
    expect(words).toEqual(['k/1=x', 'listed']);
    await clock.advance(122_000);
    expect(words.slice(0, 5)).toEqual(['k/1=x', 'listed', 'periodic relisting', 'k/2=x', 'listed']);
    stop.abort();
    await ended;
    expect(clock.sleeping).toBe(0);
  });

  test('is not called listed when the listing is interrupted, and is listed again', async () => {
    let attempts = 0;
    void run({
      *list() {
        attempts += 1;
        yield page(attempts, keyValue('k/a', String(attempts)));
        if (attempts < 3) throw new UnavailableError('gone');
      },
    });
    await clock.advance(1_000);
    expect(words).toEqual(['k/a=1', 'interrupted', 'k/a=2', 'interrupted', 'k/a=3', 'listed']);
    stop.abort();
  });

  test('is listed again when its history was compacted', async () => {
    let lists = 0;
    void run({
      list: () => {
        lists += 1;
        return [page(lists, keyValue('k/a', String(lists)))];
      },
      watch: () => (lists === 1 ? [{ kind: 'compacted', compactRevision: 5 as Revision }] : []),
    });
    await clock.advance(1_000);
    expect(words).toEqual(['k/a=1', 'listed', 'interrupted', 'k/a=2', 'listed']);
    stop.abort();
  });

  test('is not listed in a storm when every watch fails at once', async () => {
    let lists = 0;
    void run({
      list: () => {
        lists += 1;
        return [page(lists)];
      },
      watch: () => [{ kind: 'compacted', compactRevision: 5 as Revision }],
    });
    await clock.advance(600_000);
    expect(lists).toBeGreaterThan(20);
    expect(lists).toBeLessThan(60);
    stop.abort();
  });

  test.each<[string, Script]>([
    ['by its watch', { watch: () => [{ kind: 'replaced', reason: 'another cluster ID' }] }],
    [
      'by its listing',
      {
        list: () => {
          throw new ClusterChangedError(1n, 2n);
        },
      },
    ],
  ])('ends when another store responds, as reported %s', async (_, script) => {
    const ended = run(script);
    await clock.advance(0);
    expect(await ended).toBeInstanceOf(SourceReplacedError);
    expect(words).not.toContain('interrupted');
  });
});

test('many prefixes together take no longer in a turn of the event loop than one', async () => {
  const [prefixes, keysEach, keysPerCheck] = [8, 1_000, 16];
  let upserts = 0;
  // Each key takes a millisecond.
  const slowClock: Clock = { nowMs: () => 0, monotonicMs: () => upserts, sleep: () => new Promise(() => undefined) };
  const slices = new Turns(slowClock);
  const sink: Sink = {
    upsert: () => {
      upserts += 1;
    },
    remove: () => undefined,
    listed: () => undefined,
    interrupted: () => undefined,
  };
  const names = Array.from({ length: keysEach }, (_, at) => `k/${String(at).padStart(4, '0')}`);
  const client = scriptedClient({
    list: () => [page(7, ...names.map((name) => keyValue(name, '1')))],
    watch: () => [
      {
        kind: 'events',
        events: names.map((name) => ({ type: 'put', ...keyValue(name, '2', 8), isCreation: false }) as const),
        revision: 8 as Revision,
      },
    ],
  });
  const ended = Array.from({ length: prefixes }, () =>
    runEtcdSource({ client, prefix: PREFIX, sink, clock: slowClock, slices, log: silentLogger, signal: stop.signal }).catch(
      () => undefined,
    ),
  );
  let [most, before] = [0, 0];
  const look = () => {
    most = Math.max(most, upserts - before);
    before = upserts;
  };
  const turns = async () => {
    while (!stop.signal.aborted) {
      look();
      await nextTurn();
    }
  };
  const looking = turns();
  await until('every key is passed on twice', () => upserts === 2 * prefixes * keysEach);
  look();
  stop.abort();
  await Promise.all([...ended, looking]);
  // Each looks at the clock after some keys, and the first look of a turn begins it.
  expect(most).toBeLessThanOrEqual((prefixes + 2) * keysPerCheck);
});
