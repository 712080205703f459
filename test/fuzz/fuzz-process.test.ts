import { expect, test } from 'vitest';
import { fuzzed } from './fuzz-process.ts';

const targets = new URL('./deadly-fixture.ts', import.meta.url).href;
const BOUNDS = { hangMs: 2_000, maxHeapMb: 64 };

test.each([
  ['memory', /heap out of memory/],
  ['abort', /SIGABRT/],
  ['hang', /took more than 2000 ms/],
  ['error', /TypeError: not expected/],
])('an input that is fatal is named, with what it does: %s', async (target, message) => {
  const { failure } = await fuzzed({ targets, target, seconds: 60, seed: 1 }, BOUNDS);
  expect(failure?.message).toMatch(message);
  expect(Buffer.from(failure?.input ?? []).includes('x')).toBe(true);
});

test('a target that takes everything gets its time', async () => {
  const job = { targets: new URL('./targets.ts', import.meta.url).href, target: 'label-selector', seconds: 0.2, seed: 1 };
  const { failure, runs, blocks } = await fuzzed(job, { hangMs: 20_000, maxHeapMb: 512 });
  expect(failure).toBeUndefined();
  expect(runs).toBeGreaterThan(0);
  expect(blocks).toBeGreaterThan(0);
});
