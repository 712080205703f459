import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { WorkQueue } from '../../../src/apiserver/export/work-queue.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

function setup(work: (id: string) => void = () => undefined, clock = systemClock) {
  const done: string[] = [];
  const stop = new AbortController();
  const queue = new WorkQueue({
    work: (id) => {
      done.push(id);
      work(id);
    },
    clock,
    signal: stop.signal,
  });
  const idle = () => new Promise<void>((resolve) => queue.whenIdle(resolve));
  return { queue, done, idle, stop };
}

test('an id that is added many times is worked on once, in the order of first addition', async () => {
  const { queue, done, idle } = setup();
  queue.open();
  for (const id of ['a', 'b', 'a', 'c', 'b']) queue.add(id);
  expect(done).toEqual([]);
  await idle();
  expect(done).toEqual(['a', 'b', 'c']);
});

test('nothing is done before the queue is open', async () => {
  const { queue, done, idle } = setup();
  queue.add('a');
  await nextTurn();
  await nextTurn();
  expect(done).toEqual([]);
  queue.open();
  await idle();
  expect(done).toEqual(['a']);
});

test('an id that is dropped is not worked on', async () => {
  const { queue, done, idle } = setup();
  queue.open();
  queue.add('a');
  queue.add('b');
  queue.drop('a');
  await idle();
  expect(done).toEqual(['b']);
});

test('an id added while it is worked on gets another turn', async () => {
  let again = true;
  const { queue, done, idle } = setup((id) => {
    if (again) queue.add(id);
    again = false;
  });
  queue.open();
  queue.add('a');
  await idle();
  expect(done).toEqual(['a', 'a']);
});

test('long work gives the event loop a turn in between', async () => {
  let nowMs = 0;
  const { queue, done, idle } = setup(
    () => {
      nowMs += 6;
    },
    { ...systemClock, monotonicMs: () => nowMs },
  );
  queue.open();
  for (const id of 'abcdef') queue.add(id);
  const progress: number[] = [];
  const watching = idle();
  while (done.length < 6) {
    await nextTurn();
    progress.push(done.length);
  }
  await watching;
  expect(progress).toContain(2);
  expect(progress).toContain(4);
});

test('an aborted queue does no more work', async () => {
  const { queue, done, stop } = setup();
  queue.open();
  queue.add('a');
  stop.abort();
  await nextTurn();
  await nextTurn();
  expect(done).toEqual([]);
});
