/** What etcd does not do, or not always: answers of a server that breaks its promises. */

import { expect, test } from 'vitest';
import { keyOf, type Revision } from '../../../src/shared/etcd/types.ts';
import {
  ETCD_BACKOFF_MAX_MS,
  ETCD_BACKOFF_MIN_MS,
  ETCD_CALL_TIMEOUT_MS,
  ETCD_DIAL_TIMEOUT_MS,
  MAX_ETCD_TEXT_LENGTH,
} from '../../../src/shared/limits.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { hurriedClock } from '../../support/clocks.ts';
import { connect, listAll, soon } from '../../support/etcd/etcd-client.ts';
import { proxyForTest, record, seen } from '../../support/etcd/etcd-fixture.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { until } from '../../support/until.ts';
import { answer, eventsAt, faultyEtcd, header } from './faulty-etcd.ts';

const quick = { clock: hurriedClock(20) };

test('fault 5: fragments are joined, and the position moves with the last one only', async () => {
  const { endpoint, watches } = await faultyEtcd({
    watch: ({ send, drop }, nth) => {
      if (nth > 2) return;
      send(answer(20, { events: eventsAt(10, 11), fragment: true }));
      send(answer(20, { events: eventsAt(11, 12), fragment: true }));
      if (nth === 1) drop();
      else send(answer(20, { events: eventsAt(12) }));
    },
  });
  const watch = record(connect(endpoint, quick), 'k/', 10);
  expect((await seen(watch, 5)).map(({ modRevision }) => modRevision)).toEqual([10, 11, 11, 12, 12]);
  expect(watches.map(({ startRevision }) => startRevision)).toEqual([10n, 10n]);
  expect(watch.last()).toMatchObject({ revision: 12 });
});

test('events are asked for as whole answers and with progress notifications', async () => {
  const { endpoint, watches } = await faultyEtcd({
    watch: ({ send }) => send(answer(20, { events: eventsAt(10).map((event) => ({ ...event, type: 1 as const })) })),
  });
  await seen(record(connect(endpoint), 'k/', 10, { deletesOnly: true }), 1);
  expect(watches).toEqual([
    expect.objectContaining({
      key: Buffer.from('k/'),
      rangeEnd: Buffer.from('k0'),
      startRevision: 10n,
      progressNotify: true,
      filters: [0],
      fragment: false,
    }),
  ]);
});

test('neither the answer to the request nor the header of another one moves the position', async () => {
  const { endpoint, watches } = await faultyEtcd({
    watch: ({ send, drop }, nth) => {
      if (nth === 1) {
        send(answer(900, { events: eventsAt(10) }));
        setTimeout(drop, 50);
      } else send(answer(900, { events: eventsAt(11) }));
    },
  });
  const watch = record(connect(endpoint, quick), 'k/', 10);
  expect((await seen(watch, 2)).map(({ modRevision }) => modRevision)).toEqual([10, 11]);
  expect(watches.map(({ startRevision }) => startRevision)).toEqual([10n, 11n]);
});

test('fault 6: progress moves the position, but older progress does not move it back', async () => {
  const { endpoint, watches } = await faultyEtcd({
    watch: ({ send, drop }, nth) => {
      if (nth > 1) return;
      send(answer(50));
      send(answer(40));
      setTimeout(drop, 50);
    },
  });
  const watch = record(connect(endpoint, quick), 'k/', 10);
  await until('the watch has resumed', () => watches.length === 2);
  expect(watches.map(({ startRevision }) => startRevision)).toEqual([10n, 51n]);
  expect(watch.batches).toEqual([{ kind: 'progress', revision: 50 }]);
});

test('fault 6: an event that a progress notification was ahead of is still delivered', async () => {
  const { endpoint } = await faultyEtcd({
    watch: ({ send }) => {
      send(answer(50));
      send(answer(50, { events: eventsAt(45) }));
    },
  });
  const watch = record(connect(endpoint), 'k/', 10);
  expect((await seen(watch, 1)).map(({ modRevision }) => modRevision)).toEqual([45]);
});

test('fault 7: events that come twice or from the past are dropped and counted', async () => {
  let dropped = 0;
  const { endpoint } = await faultyEtcd({
    watch: ({ send }) => {
      send(answer(50, { events: eventsAt(5, 10, 12) }));
      send(answer(50, { events: eventsAt(11, 12) }));
      send(answer(50, { events: eventsAt(13, 9, 14) }));
    },
  });
  const observer = {
    begin: () => () => undefined,
    events: () => undefined,
    certificates: () => undefined,
    droppedEvents: (count: number) => {
      dropped += count;
    },
  };
  const watch = record(connect(endpoint, { observer }), 'k/', 10);
  expect((await seen(watch, 4)).map(({ modRevision }) => modRevision)).toEqual([10, 12, 13, 14]);
  expect(dropped).toBe(4);
});

test('of many large responses that are not read, few are received', async () => {
  const big = (revision: number) =>
    eventsAt(revision).map(({ type, kv }) => ({ type, kv: { ...kv, value: Buffer.alloc(5_000_000, 'v') } }));
  const { port } = await faultyEtcd({
    watch: ({ send }) => {
      for (let revision = 10; revision < 20; revision += 1) send(answer(50, { events: big(revision) }));
    },
  });
  const proxy = await proxyForTest(port);
  const abort = new AbortController();
  const slow = connect(proxy.endpoint)
    .watch(keyOf('k/'), { signal: abort.signal, from: 10 as Revision })
    [Symbol.asyncIterator]();
  expect((await slow.next()).value).toMatchObject({ kind: 'events', revision: 10 });
  let takenBefore = 0;
  let lookedInVain = 0;
  await until('the flow stops', () => {
    const taken = proxy.bytes.toClient;
    lookedInVain = taken === takenBefore ? lookedInVain + 1 : 0;
    takenBefore = taken;
    return taken > 5_000_000 && lookedInVain >= 10;
  });
  expect(proxy.bytes.toClient).toBeLessThan(20_000_000);
  for (let revision = 11; revision < 20; revision += 1) expect((await slow.next()).value).toMatchObject({ revision });
  abort.abort();
  expect(await slow.next()).toMatchObject({ done: true });
});

test('a compaction that comes with the answer to the request is a value', async () => {
  const { endpoint } = await faultyEtcd({ created: answer(50, { created: true, canceled: true, compactRevision: 30n }) });
  const watch = record(connect(endpoint), 'k/', 10);
  await until('the watch has ended', watch.hasEnded);
  expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: 30 }]);
});

test('a compaction that is reported only by its text is a value', async () => {
  const cancelReason = 'etcdserver: mvcc: required revision has been compacted';
  const { endpoint } = await faultyEtcd({ watch: ({ send }) => send(answer(50, { canceled: true, cancelReason })) });
  const watch = record(connect(endpoint), 'k/', 10);
  await until('the watch has ended', watch.hasEnded);
  expect(watch.batches).toEqual([{ kind: 'compacted', compactRevision: 0 }]);
});

test('a watch that is cancelled for another reason is retried, logged once, and logged again when it resumes', async () => {
  const { endpoint } = await faultyEtcd({
    watch: ({ send }, nth) => {
      if (nth <= 4)
        send(
          answer(50, {
            canceled: true,
            cancelReason: nth <= 2 ? 'etcdserver: permission denied' : 'etcdserver: too many requests',
          }),
        );
      else send(answer(50, { events: eventsAt(10) }));
    },
  });
  const { log, lines } = recordingLogger();
  const watch = record(connect(endpoint, { ...quick, log }), 'k/', 10);
  await seen(watch, 1);
  expect(lines.filter(({ msg }) => msg.startsWith('watch')).map(({ msg, code }) => [msg, code])).toEqual([
    ['watch interrupted', 'ETCD_PERMISSION_DENIED'],
    ['watch interrupted', 'ETCD_TOO_MANY_REQUESTS'],
    ['watch resumed', undefined],
  ]);
});

test('a watch that is cancelled with a long text resumes, and one line of the text is logged', async () => {
  const { endpoint } = await faultyEtcd({
    watch: ({ send }, nth) => {
      if (nth === 1) send(answer(50, { canceled: true, cancelReason: 'auth: '.repeat(20_000) }));
      else send(answer(50, { events: eventsAt(10) }));
    },
  });
  const { log, lines } = recordingLogger();
  const watch = record(connect(endpoint, { ...quick, log }), 'k/', 10);
  await seen(watch, 1);
  const reasons = lines.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
  expect(reasons.some((reason) => reason.includes('auth: auth: '))).toBe(true);
  expect(Math.max(...reasons.map(({ length }) => length))).toBeLessThan(MAX_ETCD_TEXT_LENGTH + 200);
});

test('a message of another cluster in the middle of a watch ends it, as does one of no cluster', async () => {
  for (const clusterId of [8n, 0n]) {
    const { endpoint } = await faultyEtcd({
      watch: ({ send }) => {
        send(answer(50, { events: eventsAt(10) }));
        send(answer(50, { events: eventsAt(11), header: header(50, clusterId) }));
      },
    });
    const watch = record(connect(endpoint), 'k/', 10);
    await until('the watch has ended', watch.hasEnded);
    expect(watch.batches.map(({ kind }) => kind)).toEqual(['events', 'replaced']);
  }
});

test('an answer without a header is an error by name', async () => {
  const { endpoint } = await faultyEtcd({ range: () => ({ header: undefined, kvs: [], more: false, count: 0n }) });
  await expect(connect(endpoint).get(keyOf('k'), soon())).rejects.toMatchObject({ code: 'ETCD_CLUSTER_CHANGED', got: 0n });
});

test('garbage in a watch is an error, and the watch resumes at its position', async () => {
  const { endpoint, watches } = await faultyEtcd({
    watch: ({ send }, nth) => {
      send(answer(50, { events: nth === 1 ? [...eventsAt(10), { type: 0, kv: undefined }] : eventsAt(10) }));
    },
  });
  const watch = record(connect(endpoint, quick), 'k/', 10);
  await seen(watch, 1);
  expect(watches.map(({ startRevision }) => startRevision)).toEqual([10n, 10n]);
});

test('a list that does not get on is an error and not an endless loop', async () => {
  const kv = { key: Buffer.from('k/a'), value: Buffer.alloc(0), modRevision: 1n, createRevision: 1n, version: 1n, lease: 0n };
  const { endpoint } = await faultyEtcd({ range: () => ({ header: header(50), kvs: [kv], more: true, count: 5n }) });
  await expect(listAll(connect(endpoint), 'k/')).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
  const empty = await faultyEtcd({ range: () => ({ header: header(50), kvs: [], more: true, count: 5n }) });
  await expect(listAll(connect(empty.endpoint), 'k/')).rejects.toMatchObject({ code: 'ETCD_MALFORMED_RESPONSE' });
});

test('fault 15: a server that ends every watch at once is asked less and less often, up to the longest wait', async () => {
  const waitsMs: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      if (ms === ETCD_CALL_TIMEOUT_MS || ms === ETCD_DIAL_TIMEOUT_MS) return systemClock.sleep(ms, signal);
      waitsMs.push(ms);
      return systemClock.sleep(5, signal);
    },
  };
  const { endpoint, watches } = await faultyEtcd({ watch: ({ drop }) => drop() });
  record(connect(endpoint, { clock }), 'k/', 10);
  await until('it has been asked a dozen times', () => watches.length >= 14);
  for (const [attempt, ms] of waitsMs.slice(0, 13).entries()) {
    const full = Math.min(ETCD_BACKOFF_MAX_MS, ETCD_BACKOFF_MIN_MS * 2 ** attempt);
    expect(ms).toBeGreaterThanOrEqual(full / 2);
    expect(ms).toBeLessThanOrEqual(full);
  }
});
