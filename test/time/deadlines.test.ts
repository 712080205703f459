import { expect, onTestFinished, test, vi } from 'vitest';
import { DEADLINE_CHECK_MS, Deadlines } from '../../src/shared/time/deadlines.ts';

function fakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

test('each is reported once, when it is due, and not before', () => {
  fakeTimers();
  const late: string[] = [];
  const deadlines = new Deadlines();
  deadlines.add(1_000, () => late.push('second'));
  deadlines.add(100, () => late.push('first'));
  deadlines.add(5_000, () => late.push('last'));
  vi.advanceTimersByTime(99);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(1 + DEADLINE_CHECK_MS);
  expect(late).toEqual(['first']);
  vi.advanceTimersByTime(1_000);
  expect(late).toEqual(['first', 'second']);
  vi.advanceTimersByTime(60_000);
  expect(late).toEqual(['first', 'second', 'last']);
});

test('one that is met is not reported, and without any there is no timer', () => {
  fakeTimers();
  const late: number[] = [];
  const deadlines = new Deadlines();
  const met = [10, 20, 30].map((ms) => deadlines.add(ms, () => late.push(ms)));
  expect(vi.getTimerCount()).toBe(1);
  for (const meet of [...met, ...met]) meet();
  expect(vi.getTimerCount()).toBe(0);
  deadlines.add(10, () => late.push(0));
  vi.advanceTimersByTime(1_000);
  expect(late).toEqual([0]);
  expect(vi.getTimerCount()).toBe(0);
});

test('one that is added while others are reported counts too', () => {
  fakeTimers();
  const late: string[] = [];
  const deadlines = new Deadlines();
  deadlines.add(10, () => {
    late.push('outer');
    deadlines.add(10, () => late.push('inner'));
  });
  vi.advanceTimersByTime(1_000);
  expect(late).toEqual(['outer', 'inner']);
});
