import { describe, expect, test } from 'vitest';
import { ListTurns } from '../../../src/kvstoremesh/mirror/list-turns.ts';
import { LIST_TURN_MS, MAX_CONCURRENT_REMOTE_LISTS } from '../../../src/shared/limits.ts';
import { ManualClock } from '../../support/clocks.ts';

function turns(count: number) {
  const clock = new ManualClock();
  const all = new ListTurns(clock);
  const ends = new Map<number, () => void>();
  const stops = Array.from({ length: count }, (_, index) => {
    const stop = new AbortController();
    all.take(stop.signal).then(
      (end) => ends.set(index, end),
      () => undefined,
    );
    return stop;
  });
  return { clock, ends, stops, begun: () => [...ends.keys()] };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe('turns in listing', () => {
  const bound = MAX_CONCURRENT_REMOTE_LISTS;

  test('are given to so many at once, and to the next in order when one ends', async () => {
    const { clock, ends, begun } = turns(bound + 5);
    await clock.advance(0);
    expect(begun()).toEqual(numbers(0, bound));
    ends.get(3)?.();
    ends.get(3)?.();
    await clock.advance(0);
    expect(begun()).toEqual(numbers(0, bound + 1));
    ends.get(0)?.();
    ends.get(1)?.();
    await clock.advance(0);
    expect(begun()).toEqual(numbers(0, bound + 3));
  });

  test('end by themselves, so that the slow do not keep the others from theirs', async () => {
    const { clock, begun } = turns(bound * 3);
    await clock.advance(LIST_TURN_MS);
    expect(begun()).toEqual(numbers(0, bound * 2));
    await clock.advance(LIST_TURN_MS);
    expect(begun()).toEqual(numbers(0, bound * 3));
    await clock.advance(LIST_TURN_MS);
    expect(clock.sleeping).toBe(0);
  });

  test('of cancelled waiters are given to others, whether they waited or had theirs', async () => {
    const { clock, stops, begun } = turns(bound + 3);
    await clock.advance(0);
    stops[bound]?.abort();
    stops[0]?.abort();
    await clock.advance(0);
    expect(begun()).toEqual([...numbers(0, bound), bound + 1]);
    for (const stop of stops) stop.abort();
    await clock.advance(0);
    expect(clock.sleeping).toBe(0);
  });
});
