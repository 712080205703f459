import { expect, test } from 'vitest';
import { QueueFullError } from '../../../src/shared/etcd/errors.ts';
import { RequestLimiter } from '../../../src/shared/etcd/operations/request-limiter.ts';
import { MAX_QUEUED_ETCD_REQUESTS } from '../../../src/shared/limits.ts';
import { ManualClock } from '../../support/clocks.ts';

const { signal } = new AbortController();

const settle = () => new Promise((resolve) => setImmediate(resolve));

function request(limiter: RequestLimiter, until: AbortSignal = signal) {
  const state: { granted: boolean; release(): void; error: unknown } = {
    granted: false,
    release: () => undefined,
    error: undefined,
  };
  limiter.acquire(until).then(
    (release) => {
      state.granted = true;
      state.release = release;
    },
    (error: unknown) => {
      state.error = error;
    },
  );
  return state;
}

test('without limits every request is granted at once', async () => {
  const limiter = new RequestLimiter({}, new ManualClock());
  const requests = Array.from({ length: 1000 }, () => request(limiter));
  await settle();
  expect(requests.every(({ granted }) => granted)).toBe(true);
});

test('rule 61: a second allows as many requests as the rate, after a burst of as many', async () => {
  const clock = new ManualClock();
  const limiter = new RequestLimiter({ qps: 10 }, clock);
  const requests = Array.from({ length: 100 }, () => request(limiter));
  const granted = () => requests.filter((each) => each.granted).length;
  await settle();
  expect(granted()).toBe(10);
  await clock.advance(1000);
  expect(granted()).toBe(20);
  await clock.advance(3000);
  expect(granted()).toBe(50);
});

test('requests are granted in the order they came', async () => {
  const clock = new ManualClock();
  const limiter = new RequestLimiter({ qps: 1 }, clock);
  const order: number[] = [];
  for (let at = 0; at < 5; at += 1) void limiter.acquire(signal).then(() => order.push(at));
  await clock.advance(5000);
  expect(order).toEqual([0, 1, 2, 3, 4]);
});

test('no more requests are under way than allowed, and a release counts once', async () => {
  const limiter = new RequestLimiter({ maxInFlight: 2 }, new ManualClock());
  const requests = Array.from({ length: 4 }, () => request(limiter));
  await settle();
  expect(requests.map(({ granted }) => granted)).toEqual([true, true, false, false]);
  requests[0]?.release();
  requests[0]?.release();
  await settle();
  expect(requests.map(({ granted }) => granted)).toEqual([true, true, true, false]);
});

test('rule 61: another rate holds at once, also for those who wait', async () => {
  const clock = new ManualClock();
  const limiter = new RequestLimiter({ qps: 0.01 }, clock);
  const requests = Array.from({ length: 51 }, () => request(limiter));
  await clock.advance(10);
  expect(requests.filter(({ granted }) => granted).length).toBe(1);
  limiter.setQps(100);
  await clock.advance(500);
  expect(requests.every(({ granted }) => granted)).toBe(true);
  limiter.setQps(undefined);
  const more = Array.from({ length: 500 }, () => request(limiter));
  await settle();
  expect(more.every(({ granted }) => granted)).toBe(true);
});

test('a cancelled waiter leaves the queue, and the last one leaves no timer behind', async () => {
  const clock = new ManualClock();
  const limiter = new RequestLimiter({ qps: 0.1 }, clock);
  request(limiter);
  const abort = new AbortController();
  const waiting = request(limiter, abort.signal);
  await settle();
  expect([limiter.waiting, clock.sleeping]).toEqual([1, 1]);
  abort.abort(new Error('enough'));
  await settle();
  expect(waiting.error).toEqual(new Error('enough'));
  expect([limiter.waiting, clock.sleeping]).toEqual([0, 0]);
  const later = request(limiter);
  await clock.advance(10_000);
  expect(later.granted).toBe(true);
});

test('a full queue refuses', async () => {
  const limiter = new RequestLimiter({ maxInFlight: 0 }, new ManualClock());
  for (let at = 0; at < MAX_QUEUED_ETCD_REQUESTS; at += 1) void limiter.acquire(signal);
  await expect(limiter.acquire(signal)).rejects.toThrow(QueueFullError);
});
