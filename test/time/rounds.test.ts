import { expect, test } from 'vitest';
import { roundsOf } from '../../src/shared/time/rounds.ts';
import { ManualClock } from '../support/clocks.ts';

test('all listeners of an interval are called in one round, until they leave', async () => {
  const clock = new ManualClock();
  const called: string[] = [];
  const leaveFirst = roundsOf(clock, 1_000).join(() => called.push('first'));
  const leaveSecond = roundsOf(clock, 1_000).join(() => called.push('second'));
  expect(clock.sleeping).toBe(1);

  await clock.advance(1_000);
  expect(called).toEqual(['first', 'second']);
  leaveFirst();
  await clock.advance(1_000);
  expect(called).toEqual(['first', 'second', 'second']);
  leaveSecond();
  await clock.advance(5_000);
  expect(called).toHaveLength(3);
  expect(clock.sleeping).toBe(0);

  const leave = roundsOf(clock, 1_000).join(() => called.push('later'));
  await clock.advance(1_000);
  expect(called.at(-1)).toBe('later');
  leave();
});

test('a listener that leaves and joins during a round is called once a round', async () => {
  const clock = new ManualClock();
  let calls = 0;
  const rounds = roundsOf(clock, 10);
  const listener = () => {
    calls += 1;
    leave();
    leave = rounds.join(listener);
  };
  let leave = rounds.join(listener);
  await clock.advance(10);
  await clock.advance(10);
  expect(calls).toBe(2);
  leave();
  expect(clock.sleeping).toBe(0);
});
