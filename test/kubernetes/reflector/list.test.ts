/** What a reflector makes of lists: streamed, paged, whole, cut, refused. */

import type { ServerResponse } from 'node:http';
import { expect } from 'vitest';
import { HastyClock } from '../../support/clocks.ts';
import { until } from '../../support/until.ts';
import { eventLine, type FakeApiserver, type SeenRequest, sendJson, status } from '../fake-apiserver.ts';
import { apiTest, ReflectorRun, WIDGETS_PATH } from '../reflector-fixture.ts';

const test = apiTest((api) => api.collection(WIDGETS_PATH));

const isList = ({ query }: SeenRequest) => !query.has('watch');
const isPage = ({ query }: SeenRequest) => query.has('continue');

function fill(api: FakeApiserver, count: number): string[] {
  const names = Array.from({ length: count }, (_, n) => `ns/w${String(n).padStart(6, '0')}`);
  for (const name of names) api.collection(WIDGETS_PATH).put(name);
  return names;
}

/** Makes the watch require a new list. */
async function expire(api: FakeApiserver): Promise<void> {
  await until('the watch is open', () => api.watchers.size === 1);
  api.writeToWatches(eventLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired' }));
}

test('a server that streams lists is asked once, for list and watch together', async ({ api }) => {
  const names = fill(api, 3);
  await using run = await ReflectorRun.start(api.url);
  await run.holds(names);
  await run.listed();
  api.collection(WIDGETS_PATH).put('ns/later');
  await run.holds([...names, 'ns/later']);

  expect(api.requests).toHaveLength(1);
  const query = Object.fromEntries(api.requests[0]?.query ?? []);
  expect(query).toEqual({
    watch: 'true',
    allowWatchBookmarks: 'true',
    sendInitialEvents: 'true',
    resourceVersionMatch: 'NotOlderThan',
    timeoutSeconds: expect.toSatisfy((text: string) => Number(text) >= 300 && Number(text) <= 600),
  });
  expect(run.events).toContainEqual({ type: 'list', mode: 'stream', objects: 3, durationMs: expect.any(Number) });
});

test('a server that refuses to stream is listed by pages, from memory first, and watched from there', async ({ api }) => {
  api.streamingLists = 'refused';
  const names = fill(api, 1_201);
  await using run = await ReflectorRun.start(api.url);
  await run.holds(names);
  await until('the watch is open', () => api.watchers.size === 1);

  expect(api.lists.map(({ query }) => [query.get('limit'), query.get('resourceVersion'), query.has('continue')])).toEqual([
    ['500', '0', false],
    ['500', null, true],
    ['500', null, true],
  ]);
  expect(api.watches.at(-1)?.query.get('resourceVersion')).toBe(String(api.collection(WIDGETS_PATH).version));

  await expire(api);
  await run.listed(2);
  expect(api.watches.filter(({ query }) => query.has('sendInitialEvents'))).toHaveLength(1);
});

test('a server that ignores the wish for a stream is listed by pages', async ({ api }) => {
  api.streamingLists = 'ignored';
  const names = fill(api, 2);
  await using run = await ReflectorRun.start(api.url);
  await run.holds(names);
  await run.listed();
  expect(api.lists).toHaveLength(1);
});

test('fault 40: a stream that breaks before the list is complete removes nothing, and pages of this moment follow', async ({
  api,
}) => {
  const names = fill(api, 3);
  await using run = await ReflectorRun.listed(api.url);
  api.collection(WIDGETS_PATH).remove(names[0] ?? '');
  await run.holds(names.slice(1));
  api.fail(
    ({ query }) => query.has('sendInitialEvents'),
    (_, response) => {
      response.write(eventLine('ADDED', { metadata: { name: 'other', resourceVersion: '3' } }));
      setImmediate(() => response.socket?.resetAndDestroy());
      return true;
    },
  );
  await expire(api);

  await run.listed(2);
  expect(run.told.slice(-4)).toEqual(['+other', `+${names[1]}`, `+${names[2]}`, '-other'].concat('listed').slice(-4));
  expect(api.lists[0]?.query.get('resourceVersion')).toBeNull();
  await run.holds(names.slice(1));
});

test('fault 40: a snapshot lost between two pages leads to a complete list, and deleted objects are removed', async ({ api }) => {
  api.streamingLists = 'refused';
  const names = fill(api, 700);
  const widgets = api.collection(WIDGETS_PATH);
  api.fail(isPage, (_, response) => {
    widgets.remove(names[0] ?? '');
    widgets.compact();
    return status(410, 'Expired')({} as SeenRequest, response);
  });
  await using run = await ReflectorRun.listed(api.url);

  expect(run.names).toEqual(names.slice(1));
  expect(run.told).toContain(`-${names[0]}`);
  expect(run.listings).toBe(1);
  const last = api.lists.at(-1)?.query;
  expect([last?.get('limit'), last?.get('resourceVersion'), last?.get('continue')]).toEqual([null, null, null]);
});

test('fault 40: a server too busy for a page is asked for the same page again', async ({ api }) => {
  api.streamingLists = 'refused';
  const names = fill(api, 700);
  api.fail(isPage, status(503, 'ServiceUnavailable', { 'retry-after': '1' }), 2);
  await using run = await ReflectorRun.start(api.url);
  await run.holds(names);
  await run.listed();

  expect(api.lists.filter((request) => !isPage(request))).toHaveLength(1);
  expect(run.failures).toEqual(['KUBE_THROTTLED', 'KUBE_THROTTLED']);
});

const relists: ReadonlyArray<readonly [string, number, string | null]> = [
  ['whole', 2, null],
  ['by pages where the server pages even what it has at hand', 600, '500'],
];

test.for(relists)('a relist uses the last seen version, and requests it %s', async ([, count, limit], { api }) => {
  api.streamingLists = 'refused';
  const names = fill(api, count);
  const widgets = api.collection(WIDGETS_PATH);
  await using run = await ReflectorRun.listed(api.url);
  widgets.put('ns/last');
  await run.holds([...names, 'ns/last']);
  widgets.remove('ns/last');
  await run.holds(names);

  const before = api.lists.length;
  await expire(api);
  await run.listed(2);

  const relist = api.lists[before]?.query;
  expect([relist?.get('limit'), relist?.get('resourceVersion')]).toEqual([limit, String(widgets.version)]);
});

const broken: ReadonlyArray<readonly [string, string]> = [
  [
    'that ends early',
    '{"kind":"List","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"x","resourceVersion":"2"}},',
  ],
  ['whose item is not JSON', '{"kind":"List","metadata":{"resourceVersion":"5"},"items":[{nonsense}]}'],
  ['whose item is no object', '{"kind":"List","metadata":{"resourceVersion":"5"},"items":["x"]}'],
  ['that is not JSON', '<html>Bad Gateway</html>'],
  ['without a version', '{"kind":"List","metadata":{},"items":[]}'],
  ['that closes more than it opens', '}'],
];

test.for(broken)('the body of a list %s is no list: nothing is removed, and another follows', async ([, body], { api }) => {
  api.streamingLists = 'refused';
  const names = fill(api, 2);
  await using run = await ReflectorRun.listed(api.url);
  api.fail(isList, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    return true;
  });
  await expire(api);
  await until('the broken list is noticed', () => run.failures.includes('KUBE_DECODE'));
  await run.listed(2);

  expect(run.told).not.toContain(`-${names[0]}`);
  await run.holds(names);
});

test('a server that repeats a page is not asked for ever', async ({ api }) => {
  api.streamingLists = 'refused';
  api.faults.push((request, response) => {
    if (!isList(request)) return false;
    return sendJson(response, 200, { metadata: { resourceVersion: '5', continue: 'same' }, items: [] });
  });
  await using run = await ReflectorRun.start(api.url);
  await until('the list is given up', () => run.failures.includes('KUBE_DECODE'));
  expect(run.listings).toBe(0);
});

/** A streaming list with `names`, without an end. Returns its response, once it was requested. */
function startEndlessList(api: FakeApiserver, names: readonly string[]): () => ServerResponse | undefined {
  let stream: ServerResponse | undefined;
  api.fail(
    ({ query }) => query.has('sendInitialEvents'),
    (_, response) => {
      stream = response.writeHead(200, { 'content-type': 'application/json' });
      for (const name of names) response.write(initialEvent(name));
      return true;
    },
  );
  return () => stream;
}

const LONG_AGO = '2020-01-01T00:00:00Z';

function initialEvent(id: string, creationTimestamp?: string, type = 'ADDED'): string {
  const [namespace, name] = id.split('/');
  return eventLine(type, { metadata: { namespace, name, resourceVersion: '2', creationTimestamp } });
}

test('a streaming list without an end is replaced within a minute, despite changes, and pages follow', async ({ api }) => {
  const names = fill(api, 3);
  const stream = startEndlessList(api, names);
  const clock = new HastyClock(1);
  await using run = await ReflectorRun.start(api.url, { clock });
  await until('the objects are told', () => run.told.length === 3);

  clock.warp(20_000);
  stream()?.write(initialEvent(names[0] ?? '', LONG_AGO, 'MODIFIED'));
  stream()?.write(initialEvent('ns/young', new Date(Date.now() + 60_000).toISOString()));
  await until('the changes are told', () => run.told.length === 5);
  expect(run.failures).toEqual([]);
  clock.warp(20_000);

  await run.listed();
  expect(run.failures).toEqual(['KUBE_STREAMING_LIST_STALLED']);
  expect(run.told).toContain('-ns/young');
  await run.holds(names);
  // The partial list is newer than the server's cache may be.
  expect(api.lists.map(({ query }) => query.get('resourceVersion'))).toEqual([null]);

  await expire(api);
  await run.listed(2);
  expect(api.watches.filter(({ query }) => query.has('sendInitialEvents'))).toHaveLength(1);
});

test('a slow streaming list continues while it sends new objects', async ({ api }) => {
  const names = fill(api, 12);
  const stream = startEndlessList(api, []);
  const clock = new HastyClock(1);
  await using run = await ReflectorRun.start(api.url, { clock });
  await until('the list is asked for', () => stream() !== undefined);
  for (const [index, name] of names.entries()) {
    stream()?.write(initialEvent(name, index % 2 === 0 ? LONG_AGO : undefined));
    await until(`${name} is told`, () => run.told.length === index + 1);
    clock.warp(25_000);
  }
  stream()?.write(
    eventLine('BOOKMARK', { metadata: { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } } }),
  );
  await run.listed();
  expect(run.failures).toEqual([]);
  expect(api.lists).toEqual([]);

  // From now on it is a watch, which may be silent for longer.
  clock.warp(60_000);
  stream()?.write(initialEvent('ns/later'));
  await run.holds([...names, 'ns/later']);
  expect(run.failures).toEqual([]);
});

const circles: ReadonlyArray<readonly [string, (page: number) => string]> = [
  ['in turns', (page) => (page % 2 === 0 ? 'a' : 'b')],
  ['with a new token each time', (page) => `t${page}`],
];

test.for(circles)('a server whose pages go around in circles, %s, is not asked for ever', async ([, tokenOf], { api }) => {
  api.streamingLists = 'refused';
  let pages = 0;
  api.faults.push((request, response) => {
    if (!isList(request)) return false;
    const items = [{ metadata: { namespace: 'ns', name: 'w', resourceVersion: '3' } }];
    pages += 1;
    return sendJson(response, 200, { metadata: { resourceVersion: '5', continue: tokenOf(pages) }, items });
  });
  await using run = await ReflectorRun.start(api.url);
  await until('the list is given up', () => run.failures.includes('KUBE_DECODE'));
  expect(run.listings).toBe(0);
});

test('pages without an object between those with some are no end', async ({ api }) => {
  api.streamingLists = 'refused';
  const item = (page: number) => ({ metadata: { namespace: 'ns', name: `w${page}`, resourceVersion: '3' } });
  api.faults.push((request, response) => {
    if (!isList(request)) return false;
    const page = Number(request.query.get('continue') ?? '0');
    const items = page % 8 === 0 ? [item(page)] : [];
    return sendJson(response, 200, { metadata: { resourceVersion: '5', continue: page < 40 ? String(page + 1) : '' }, items });
  });
  await using run = await ReflectorRun.listed(api.url);
  expect(run.failures).toEqual([]);
  await run.holds([0, 8, 16, 24, 32, 40].map((page) => `ns/w${page}`));
});

test('a list of everything in one answer is taken item by item, wherever its chunks are cut', async ({ api }) => {
  api.streamingLists = 'refused';
  const count = 20_000;
  const item = { metadata: { name: '', namespace: 'ns', resourceVersion: '2' }, payload: 'x"\\ü'.repeat(100) };
  api.faults.push((request, response) => {
    if (!isList(request)) return false;
    response.write('{"kind":"List","items":[');
    for (let n = 0; n < count; n += 1) {
      response.write((n === 0 ? '' : ',') + JSON.stringify({ ...item, metadata: { ...item.metadata, name: `w${n}` } }));
    }
    response.end('],"metadata":{"resourceVersion":"7"}}');
    return true;
  });
  await using run = await ReflectorRun.start(api.url, {
    clock: new HastyClock(1),
    project: (raw) => (raw as typeof item).payload.length,
  });
  await run.listed();
  expect(run.objects.size).toBe(count);
  expect(new Set(run.objects.values())).toEqual(new Set([item.payload.length]));
  await until('the watch is open', () => api.watches.at(-1)?.query.get('resourceVersion') === '7');
});

test('only metadata is requested if nothing else is used', async ({ api }) => {
  api.streamingLists = 'refused';
  await using run = await ReflectorRun.start(api.url, {
    resource: {
      kind: 'Widget',
      group: 'test.io',
      version: 'v1',
      plural: 'widgets',
      metadataOnly: true,
      labelSelector: '!skip,a!=b',
    },
  });
  await until('the watch is open', () => api.watchers.size === 1, { status: () => run.status() });
  expect(api.lists[0]?.headers.accept).toContain('as=PartialObjectMetadataList;g=meta.k8s.io;v=v1');
  expect(api.watches.at(-1)?.headers.accept).toContain('as=PartialObjectMetadata;g=meta.k8s.io;v=v1');
  for (const request of api.requests) expect(request.query.get('labelSelector')).toBe('!skip,a!=b');
});
