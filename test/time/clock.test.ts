import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/shared/time/clock.ts';

const HOUR_MS = 3_600_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});

afterEach(() => {
  vi.useRealTimers();
});

async function wakesAfter(ms: number): Promise<number> {
  let wokeMs: number | undefined;
  const startMs = performance.now();
  void systemClock.sleep(ms, new AbortController().signal).then(() => {
    wokeMs = performance.now() - startMs;
  });
  while (wokeMs === undefined) await vi.advanceTimersToNextTimerAsync();
  return wokeMs;
}

test.each([0, 0.25, 1, 1500, 24 * HOUR_MS, 720 * HOUR_MS, 2 ** 31 - 1, 2 ** 31, 2_562_047 * HOUR_MS])(
  'a sleep of %d ms ends when that time is over',
  async (ms) => {
    expect(await wakesAfter(ms)).toBeCloseTo(ms, -1);
  },
);

test('a sleep of months ends at once when it is aborted, and leaves no timer', async () => {
  const stop = new AbortController();
  const sleeping = systemClock.sleep(2000 * HOUR_MS, stop.signal);
  await vi.advanceTimersByTimeAsync(700 * HOUR_MS);
  stop.abort(new Error('stop'));
  await expect(sleeping).rejects.toThrow('stop');
  expect(vi.getTimerCount()).toBe(0);
});
