/** A kind that is served in one of several API versions, and moves from one to another. */

import { expect } from 'vitest';
import type { Resource } from '../../../src/shared/kubernetes/objects/resources.ts';
import { HastyClock } from '../../support/clocks.ts';
import { until } from '../../support/until.ts';
import { eventLine, type FakeApiserver, type SeenRequest, status } from '../fake-apiserver.ts';
import { apiTest, ReflectorRun, WIDGETS, WIDGETS_PATH } from '../reflector-fixture.ts';

const VERSIONED: Resource = { ...WIDGETS, olderVersions: ['v1beta1', 'v1alpha1'] };
const pathOf = (version: string) => WIDGETS_PATH.replace('v1', version);
const [V1, V1BETA1, V1ALPHA1] = [WIDGETS_PATH, pathOf('v1beta1'), pathOf('v1alpha1')];

const test = apiTest();

const start = (api: FakeApiserver, clock = new HastyClock(200)) => ReflectorRun.start(api.url, { resource: VERSIONED, clock });

/** The versions asked for so far, in order, repetitions left out. */
function asked(api: FakeApiserver): string[] {
  const versions = api.requests.map(({ path }) => path.split('/')[3] ?? '');
  return versions.filter((version, index) => version !== versions[index - 1]);
}

const statesOf = (run: ReflectorRun) => run.events.flatMap((event) => (event.type === 'state' ? [event.state] : []));

test('the preferred version is used if it is served, among any others', async ({ api }) => {
  api.collection(V1).put('ns/a');
  api.alias(V1BETA1, V1);
  await using run = await start(api);
  await run.listed();
  expect(run.names).toEqual(['ns/a']);
  expect(asked(api)).toEqual(['v1']);
});

test.for(['served', 'refused'] as const)(
  'an older version is taken where only that is served, without a pause and a failure: streaming lists %s',
  async (streamingLists, { api }) => {
    api.streamingLists = streamingLists;
    api.collection(V1ALPHA1).put('ns/a');
    await using run = await start(api, new HastyClock(1));
    await run.listed();
    api.collection(V1ALPHA1).put('ns/b');
    await run.holds(['ns/a', 'ns/b']);
    expect(asked(api)).toEqual(['v1', 'v1beta1', 'v1alpha1']);
    expect(run.failures).toEqual([]);
    expect(statesOf(run)).toEqual(['listing', 'watching']);
  },
);

test('the kind is missing only if no version is served, and each attempt requests each version once before it pauses', async ({
  api,
}) => {
  await using run = await start(api);
  await until('three tries', () => run.failures.length >= 3, { status: () => run.status() });
  expect(run.state).toBe('missing');
  const paths = api.requests.map(({ path }) => path).slice(0, 9);
  expect(paths).toEqual([V1, V1BETA1, V1ALPHA1, V1, V1BETA1, V1ALPHA1, V1, V1BETA1, V1ALPHA1]);
  const delays = run.events.flatMap((event) => (event.type === 'failure' ? [event.delayMs] : []));
  expect(Math.min(...delays)).toBeGreaterThanOrEqual(400);

  api.collection(V1BETA1).put('ns/a');
  await run.holds(['ns/a']);
});

test('a kind that moves to another version and back is followed without a removal, and is never missing', async ({ api }) => {
  api.collection(V1ALPHA1).put('ns/a');
  api.collection(V1ALPHA1).put('ns/b');
  await using run = await start(api);
  await run.listed();
  for (const [listings, from, to] of [
    [2, V1ALPHA1, V1],
    [3, V1, V1BETA1],
    [4, V1BETA1, V1],
  ] as const) {
    api.alias(to, from);
    api.drop(from);
    await run.listed(listings);
    api.collection(to).put(`ns/in-${listings}`);
    await until('what comes is told', () => run.objects.has(`ns/in-${listings}`), { status: () => run.status() });
  }
  expect(run.told.filter((word) => word.startsWith('-'))).toEqual([]);
  expect(statesOf(run)).not.toContain('missing');
  api.collection(V1).remove('ns/a');
  await until('a removal is told', () => !run.objects.has('ns/a'));
});

test('what went while the version changed is removed after the list in the new one', async ({ api }) => {
  api.collection(V1ALPHA1).put('ns/a');
  api.collection(V1ALPHA1).put('ns/b');
  await using run = await start(api);
  await run.listed();
  api.faults.push(({ path }, response) => path === V1 && status(500, 'InternalError')({} as SeenRequest, response));
  api.alias(V1, V1ALPHA1);
  api.drop(V1ALPHA1);
  api.collection(V1).remove('ns/a');
  await until('the new version fails', () => run.failures.includes('KUBE_STATUS'), { status: () => run.status() });
  expect(run.names).toEqual(['ns/a', 'ns/b']);
  api.faults.length = 0;
  await run.listed(2);
  expect(run.told.slice(run.told.indexOf('listed') + 1)).toEqual(['+ns/b', '-ns/a', 'listed']);
});

test('the preferred version is taken with the next list once it is served', async ({ api }) => {
  api.collection(V1BETA1).put('ns/a');
  await using run = await start(api);
  await until('a watch', () => api.watchers.size === 1);
  await run.listed();
  api.alias(V1, V1BETA1);
  api.writeToWatches(eventLine('ERROR', { kind: 'Status', code: 410, reason: 'Expired' }));
  await run.listed(2);
  expect(asked(api)).toEqual(['v1', 'v1beta1', 'v1']);
});

test('versions that can be listed and never watched make no hot loop', async ({ api }) => {
  api.streamingLists = 'refused';
  api.collection(V1).put('ns/a');
  api.alias(V1BETA1, V1);
  api.faults.push(
    ({ query }, response) =>
      query.has('watch') && !query.has('sendInitialEvents') && status(404, 'NotFound')({} as SeenRequest, response),
  );
  await using run = await start(api);
  await until('three pauses', () => run.failures.length >= 3, { status: () => run.status() });
  const lists = api.lists.filter(({ path }) => path !== V1ALPHA1).length;
  expect(lists).toBeLessThanOrEqual(2 * (run.failures.length + 1));
  expect(run.names).toEqual(['ns/a']);
});
