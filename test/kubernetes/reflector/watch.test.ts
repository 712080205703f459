/** What a reflector makes of watches that end, break, hang or lie. */

import { expect } from 'vitest';
import { MAX_KUBE_OBJECT_BYTES } from '../../../src/shared/kubernetes/limits.ts';
import { HastyClock } from '../../support/clocks.ts';
import { until } from '../../support/until.ts';
import { eventLine, type FakeApiserver, status } from '../fake-apiserver.ts';
import { apiTest, ReflectorRun, WIDGETS_PATH } from '../reflector-fixture.ts';

const test = apiTest((api) => api.collection(WIDGETS_PATH));

const isWatch = ({ query }: { query: URLSearchParams }) => query.has('watch');
const isResume = ({ query }: { query: URLSearchParams }) => query.has('watch') && !query.has('sendInitialEvents');

/** A reflector that has listed `a` and watches. */
async function watching(api: FakeApiserver, clock = new HastyClock()): Promise<ReflectorRun> {
  const widgets = api.collection(WIDGETS_PATH);
  if (!widgets.objects.has('ns/a')) widgets.put('ns/a');
  const run = await ReflectorRun.start(api.url, { clock });
  await run.listed();
  return run;
}

test('changes are passed on as they arrive, each object in the order of its states', async ({ api }) => {
  await using run = await watching(api);
  const widgets = api.collection(WIDGETS_PATH);

  widgets.put('ns/b', { n: 1 });
  widgets.put('ns/b', { n: 2 });
  widgets.remove('ns/a');
  widgets.put('cluster-scoped');

  await run.holds(['cluster-scoped', 'ns/b']);
  expect(run.told).toEqual(['+ns/a', 'listed', '+ns/b', '+ns/b', '-ns/a', '+cluster-scoped']);
  expect(run.objects.get('ns/b')).toMatchObject({ n: 2 });
});

test('fault 40: a watch cut by a socket reset resumes after the last event, without a list', async ({ api }) => {
  await using run = await watching(api);
  const widgets = api.collection(WIDGETS_PATH);
  const last = widgets.put('ns/b');
  await run.holds(['ns/a', 'ns/b']);

  api.cutWatches();
  widgets.put('ns/c');
  widgets.remove('ns/a');

  await run.holds(['ns/b', 'ns/c']);
  expect(api.watches.at(-1)?.query.get('resourceVersion')).toBe(last.metadata.resourceVersion);
  expect(run.listings).toBe(1);
  expect(run.failures).toEqual(['KUBE_UNREACHABLE']);
});

test('fault 40: a watch ended in order resumes from the version of the last bookmark', async ({ api }) => {
  await using run = await watching(api);
  const widgets = api.collection(WIDGETS_PATH);
  widgets.version += 100;
  api.bookmark(WIDGETS_PATH);
  const expected = String(widgets.version);

  await until('the watch resumes from the bookmark', () => {
    api.endWatches();
    return api.watches.at(-1)?.query.get('resourceVersion') === expected;
  });
  widgets.put('ns/b');
  await run.holds(['ns/a', 'ns/b']);
  expect(run.listings).toBe(1);
});

test('fault 40: an expired version, reported as a status, leads to a list that removes deleted objects', async ({ api }) => {
  await using run = await watching(api);
  const widgets = api.collection(WIDGETS_PATH);
  widgets.put('ns/b');
  await run.holds(['ns/a', 'ns/b']);

  api.fail(isWatch, (_, response) => {
    response.socket?.destroy();
    return true;
  });
  api.cutWatches();
  widgets.remove('ns/a');
  widgets.put('ns/c');
  widgets.compact();

  await run.holds(['ns/b', 'ns/c']);
  await run.listed(2);
  expect(run.relists).toEqual(['expired']);
});

test('fault 40: an expired version, reported as an event, leads to a list', async ({ api }) => {
  await using run = await watching(api);

  api.writeToWatches(eventLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }));

  await run.listed(2);
  expect(run.relists).toEqual(['expired']);
  expect(run.names).toEqual(['ns/a']);
  expect(run.failures).toEqual([]);
});

test('a version that the server has not reached leads to a list of this moment', async ({ api }) => {
  const widgets = api.collection(WIDGETS_PATH);
  widgets.version = 1_000;
  await using run = await watching(api);
  // As after etcd was restored from a backup.
  widgets.version = 10;
  widgets.put('ns/restored');
  api.cutWatches();

  await run.listed(2);
  expect(run.relists).toEqual(['future_version']);
  await run.holds(['ns/a', 'ns/restored']);
  expect(api.watches.at(-1)?.query.get('resourceVersion')).toBeNull();
});

test('fault 40: a busy server is not retried before the requested delay, and is not listed again', async ({ api }) => {
  const clock = new HastyClock(100);
  await using run = await watching(api, clock);
  api.fail(isResume, status(429, 'TooManyRequests', { 'retry-after': '20' }));
  api.endWatches();
  await until('the server says that it is busy', () => run.failures.includes('KUBE_THROTTLED'), { status: () => run.status() });
  const delay = run.events.find((event) => event.type === 'failure' && event.error.code === 'KUBE_THROTTLED');
  api.collection(WIDGETS_PATH).put('ns/b');

  await run.holds(['ns/a', 'ns/b']);
  expect(run.listings).toBe(1);
  expect(delay).toMatchObject({ delayMs: expect.toSatisfy((ms: number) => ms >= 20_000) });
});

test('fault 40: a storm of errors is met with growing pauses, which a good watch resets', async ({ api }) => {
  const clock = new HastyClock(200);
  await using run = await watching(api, clock);
  api.faults.push((request, response) => isWatch(request) && status(500, 'InternalError')(request, response));
  api.endWatches();
  const delays = () => run.events.flatMap((event) => (event.type === 'failure' ? [event.delayMs] : []));
  await until('the storm was noticed eight times', () => delays().length >= 8, { withinMs: 45_000 });
  api.faults.length = 0;
  api.collection(WIDGETS_PATH).put('ns/b');
  await run.holds(['ns/a', 'ns/b']);

  const [first = 0, , , , , , , eighth = 0] = delays();
  expect(first).toBeLessThanOrEqual(1_600);
  expect(eighth).toBeGreaterThanOrEqual(15_000);
  expect(Math.max(...delays())).toBeLessThanOrEqual(30_000);

  const before = delays().length;
  api.cutWatches();
  await until('the cut is noticed', () => delays().length > before);
  expect(delays().at(-1)).toBeLessThanOrEqual(1_600);
});

test('fault 40: a watch that is ended at once each time makes no hot loop, and lists now and then', async ({ api }) => {
  const clock = new HastyClock(200);
  await using run = await watching(api, clock);
  const startedMs = clock.monotonicMs();
  const before = api.requests.length;
  api.faults.push((request) => {
    if (isWatch(request)) setImmediate(() => api.endWatches());
    return false;
  });
  api.endWatches();

  await until('it has listed twice more', () => run.listings >= 3, { withinMs: 45_000, status: () => run.status() });

  const requests = api.requests.length - before;
  const elapsedMs = clock.monotonicMs() - startedMs;
  expect(run.relists.slice(0, 2)).toEqual(['no_progress', 'no_progress']);
  // Each request follows a pause, and the pauses double up to half a minute.
  expect(elapsedMs).toBeGreaterThan(400 * (2 ** Math.min(requests - 1, 6) - 1));
  expect(requests).toBeLessThan(20);
});

test('fault 40: idle watches that are ended in order after a second are resumed at once, and nothing is listed again', async ({
  api,
}) => {
  const clock = new HastyClock(1);
  await using run = await watching(api, clock);
  const accepted = () => run.events.filter(({ type }) => type === 'watch').length;
  for (let round = 1; round <= 12; round += 1) {
    await until(`watch ${round} is accepted`, () => accepted() >= round, { status: () => run.status() });
    clock.warp(1_000);
    api.endWatches();
  }
  api.collection(WIDGETS_PATH).put('ns/b');
  await run.holds(['ns/a', 'ns/b']);
  expect(run.listings).toBe(1);
  expect(run.relists).toEqual([]);
});

test('fault 40: a silent watch is closed, sooner if it has sent bookmarks', async ({ api }) => {
  const clock = new HastyClock(1);
  await using run = await watching(api, clock);
  const silent = [...api.watchers][0];
  api.collection(WIDGETS_PATH).put('ns/b');
  await run.holds(['ns/a', 'ns/b']);

  clock.warp(100_000);
  clock.warp(100_000);

  await until(
    'another watch replaces the silent one',
    () => api.watchers.size === 1 && ![...api.watchers].includes(silent as never),
  );
  expect(run.failures).toEqual(['KUBE_SILENCE']);
  expect(run.listings).toBe(1);

  const resumed = [...api.watchers][0];
  // This one has sent none: it may stay silent for its requested duration.
  clock.warp(200_000);
  expect([...api.watchers][0]).toBe(resumed);
  clock.warp(500_000);
  await until('the second one is given up, too', () => ![...api.watchers].includes(resumed as never));
});

test('a proxy that buffers every watch still allows lists, again and again', async ({ api }) => {
  const widgets = api.collection(WIDGETS_PATH);
  widgets.put('ns/a');
  api.faults.push((request) => isWatch(request));
  await using run = await ReflectorRun.start(api.url, { clock: new HastyClock(400) });
  await run.holds(['ns/a']);
  widgets.put('ns/b');

  await run.holds(['ns/a', 'ns/b']);
  expect(run.relists).toContain('no_progress');
});

const spoiled: ReadonlyArray<readonly [string, (api: FakeApiserver) => void]> = [
  [
    'a line cut in the middle',
    (api) => {
      api.writeToWatches('{"type":"ADDED","object":{"metadata":{"na');
      api.endWatches();
    },
  ],
  ['a line that is not JSON', (api) => api.writeToWatches('{"type":"ADDED","object":nonsense}\n')],
  ['a line over the bound', (api) => api.writeToWatches('x'.repeat(MAX_KUBE_OBJECT_BYTES + 1))],
  ['an event without a type', (api) => api.writeToWatches('{"object":{}}\n')],
  ['an event of a type unknown', (api) => api.writeToWatches(eventLine('MOVED', { metadata: { name: 'a' } }))],
  ['an object without a name', (api) => api.writeToWatches(eventLine('ADDED', { metadata: {} }))],
  ['an object without a version', (api) => api.writeToWatches(eventLine('BOOKMARK', { metadata: {} }))],
];

test.for(spoiled)('%s ends the watch, which resumes and loses nothing', async ([, spoil], { api }) => {
  await using run = await watching(api);
  const widgets = api.collection(WIDGETS_PATH);
  const last = widgets.put('ns/b');
  await run.holds(['ns/a', 'ns/b']);

  spoil(api);
  await until('the watch resumes', () => api.watches.length === 2, { status: () => run.status() });
  widgets.put('ns/c');

  await run.holds(['ns/a', 'ns/b', 'ns/c']);
  expect(run.failures).toEqual(['KUBE_DECODE']);
  expect(api.watches.at(-1)?.query.get('resourceVersion')).toBe(last.metadata.resourceVersion);
  expect(run.listings).toBe(1);
});

test('an object that cannot be projected is named and skipped, and its last good state stays', async ({ api }) => {
  const widgets = api.collection(WIDGETS_PATH);
  widgets.put('ns/a', { size: 1 });
  widgets.put('ns/bad', { size: 'large' });
  await using run = await ReflectorRun.start(api.url, {
    clock: new HastyClock(),
    project: (raw) => {
      if (typeof (raw as { size: unknown }).size !== 'number') throw new Error('size is not a number');
      return raw;
    },
  });
  await run.listed();
  widgets.put('ns/a', { size: 'small' });
  widgets.put('ns/c', { size: 3 });

  await run.holds(['ns/a', 'ns/c']);
  expect(run.objects.get('ns/a')).toMatchObject({ size: 1 });
  const rejected = run.events.flatMap((event) => (event.type === 'rejected' ? [event.id.name] : []));
  expect(rejected).toEqual(['bad', 'a']);

  api.collection(WIDGETS_PATH).compact();
  api.writeToWatches(eventLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired' }));
  await run.listed(2);
  expect(run.names).toEqual(['ns/a', 'ns/c']);
});

test('fault 40: a kind that is not installed is tried again and again, and works once it is', async ({ api }) => {
  api.drop(WIDGETS_PATH);
  await using run = await ReflectorRun.start(api.url, { clock: new HastyClock(200) });
  await until('the kind is reported missing', () => run.state === 'missing');

  api.collection(WIDGETS_PATH).put('ns/a');
  await run.holds(['ns/a']);
  expect(run.state).toBe('watching');
});

test('fault 40: a kind that is deleted keeps its last state, and when it returns what is gone is removed', async ({ api }) => {
  await using run = await watching(api, new HastyClock(200));
  api.drop(WIDGETS_PATH);
  await until('the kind is reported missing', () => run.state === 'missing', { status: () => run.status() });
  expect(run.names).toEqual(['ns/a']);

  api.collection(WIDGETS_PATH).put('ns/new');

  await run.holds(['ns/new']);
  expect(run.relists).toContain('missing');
});
