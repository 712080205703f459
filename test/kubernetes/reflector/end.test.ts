/** A reflector can be stopped at any time, and leaves nothing behind. */

import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect } from 'vitest';
import { openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { runReflector } from '../../../src/shared/kubernetes/reflector/reflector.ts';
import { watchEvents } from '../../../src/shared/kubernetes/reflector/watch-stream.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { HastyClock } from '../../support/clocks.ts';
import { connectionOptions } from '../../support/kubernetes/connection-options.ts';
import { until, within } from '../../support/until.ts';
import { eventLine, type FakeApiserver, status } from '../fake-apiserver.ts';
import { apiTest, ReflectorRun, WIDGETS, WIDGETS_PATH } from '../reflector-fixture.ts';

const test = apiTest((api) => api.collection(WIDGETS_PATH).put('ns/a'));

type Phase = readonly [
  name: string,
  arrange: (api: FakeApiserver) => void,
  reached: (run: ReflectorRun, api: FakeApiserver) => boolean,
];

const phases: readonly Phase[] = [
  ['waits for the answer to its first request', (api) => api.faults.push(() => true), (_, api) => api.requests.length === 1],
  [
    'is in the middle of a streamed list',
    (api) =>
      api.faults.push((_, response) => {
        response.write(eventLine('ADDED', { metadata: { name: 'b', resourceVersion: '2' } }));
        return true;
      }),
    (run) => run.objects.has('b'),
  ],
  [
    'is in the middle of a page',
    (api) => {
      api.streamingLists = 'refused';
      api.faults.push((request, response) => {
        if (request.query.has('watch')) return false;
        response.write('{"items":[{"metadata":{"name":"b","resourceVersion":"2"}},');
        return true;
      });
    },
    (run) => run.objects.has('b'),
  ],
  ['watches', () => undefined, (run, api) => run.listings === 1 && api.watchers.size === 1],
  ['waits before another attempt', (api) => api.faults.push(status(500, 'InternalError')), (run) => run.failures.length > 0],
  [
    'waits as long as the server has asked for',
    (api) => api.faults.push(status(429, 'TooManyRequests', { 'retry-after': '100' })),
    (run) => run.failures.length > 0,
  ],
];

test.for(phases)('a reflector that %s ends at once, and leaves no socket', async ([, arrange, reached], { api }) => {
  arrange(api);
  const run = await ReflectorRun.start(api.url, { clock: systemClock });
  await until('the phase is reached', () => reached(run, api), { status: () => run.status() });
  await run.stop();
  await until('every socket is closed', () => api.sockets.size === 0);
});

test('a reflector started with an aborted signal sends nothing', async ({ api }) => {
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  const handler = { upsert: () => undefined, remove: () => undefined, listed: () => undefined };
  const signal = AbortSignal.abort();
  await runReflector({ connection, resource: WIDGETS, project: String, handler, log: silentLogger, clock: systemClock, signal });
  await connection.close();
  expect(api.requests).toHaveLength(0);
});

test('a handler that throws ends the reflector with its error, and frees its socket', async ({ api }) => {
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  const bug = new Error('a bug of ours');
  const running = runReflector({
    connection,
    resource: WIDGETS,
    project: String,
    handler: {
      upsert: () => {
        throw bug;
      },
      remove: () => undefined,
      listed: () => undefined,
    },
    log: silentLogger,
    clock: systemClock,
    signal: new AbortController().signal,
  });
  await expect(within('the reflector ends', running)).rejects.toBe(bug);
  await until('the socket is closed', () => api.sockets.size === 0);
  await connection.close();
});

test('many watches, one after the other, pile up neither listeners nor sockets', async ({ api }) => {
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  const stop = new AbortController();
  const handler = { upsert: () => undefined, remove: () => undefined, listed: () => undefined };
  const clock = new HastyClock(1_000);
  const options = { connection, resource: WIDGETS, project: String, handler, log: silentLogger, clock, signal: stop.signal };
  const running = runReflector(options);
  await until('forty watches', () => {
    api.collection(WIDGETS_PATH).put('ns/a');
    api.endWatches();
    return api.watches.length >= 40;
  });

  expect(getEventListeners(stop.signal, 'abort').length).toBeLessThan(5);
  expect(api.sockets.size).toBeLessThan(5);
  stop.abort();
  await within('the reflector ends', running);
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0);
  await connection.close();
  await until('every socket is closed', () => api.sockets.size === 0);
});

test('a reader that pauses makes the server wait, and misses nothing', async ({ api }) => {
  const count = 15_000;
  const padding = 'x'.repeat(1_000);
  let response: ServerResponse | undefined;
  let written = 0;
  api.faults.push((_, answer) => {
    response = answer;
    const write = () => {
      while (written < count) {
        written += 1;
        if (!answer.write(eventLine('ADDED', { metadata: { name: `w${written}`, resourceVersion: '2' }, padding }))) break;
      }
      if (written < count) answer.once('drain', write);
      else answer.end();
    };
    write();
    return true;
  });
  const connection = await openConnection(connectionOptions({ serverUrls: [api.url] }));
  const { signal } = new AbortController();
  const events = watchEvents({
    connection,
    resource: WIDGETS,
    resourceVersion: '1',
    sendInitialEvents: false,
    clock: systemClock,
    signal,
    onOpen: () => undefined,
  });
  expect((await events.next()).done).toBe(false);
  // Without a reader the server sends only what the sockets buffer.
  let before = -1;
  await until('the server is held up', () => {
    const isHeld = written === before && response?.writableNeedDrain === true;
    before = written;
    return isHeld;
  });
  expect(written).toBeLessThan(count);

  let seen = 1;
  for await (const _ of events) seen += 1;
  expect(seen).toBe(count);
  await connection.close();
});
