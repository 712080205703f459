import { expect, test } from 'vitest';
import { EventQueue } from '../../../src/kvstoremesh/reports/event-queue.ts';
import { MAX_WAITING_EVENTS } from '../../../src/kvstoremesh/reports/limits.ts';
import { RemoteChanges } from '../../../src/kvstoremesh/reports/remote-changes.ts';
import type { EventContent } from '../../../src/shared/kubernetes/events.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

const event = (note: string): EventContent => ({ type: 'Normal', reason: 'RemoteClusterConnected', action: 'Mirror', note });
const { signal } = new AbortController();

test('equal events that wait are one with a count, in the order in which they first came', async () => {
  const queue = new EventQueue(systemClock, () => undefined);
  for (const note of ['a', 'b', 'a', 'a']) queue.push(event(note));
  expect(await queue.take(signal)).toMatchObject({ content: { note: 'a' }, occurrences: { count: 3 } });
  expect(await queue.take(signal)).toMatchObject({ content: { note: 'b' }, occurrences: { count: 1 } });
});

test('a full queue drops its oldest events and counts every occurrence of them', async () => {
  let dropped = 0;
  const queue = new EventQueue(systemClock, (count) => {
    dropped += count;
  });
  queue.push(event('oldest'));
  queue.push(event('oldest'));
  for (let i = 0; i < MAX_WAITING_EVENTS; i += 1) queue.push(event(`${i}`));
  expect(dropped).toBe(2);
  expect((await queue.take(signal)).content.note).toBe('0');
});

test('taking ends with the signal, and with the next event', async () => {
  const queue = new EventQueue(systemClock, () => undefined);
  const taken = queue.take(signal);
  queue.push(event('a'));
  expect((await taken).content.note).toBe('a');
  await expect(queue.take(AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
});

test('attempts that fail one after another are told once, and a reason of any length and bytes fits into a note', () => {
  const told: EventContent[] = [];
  const changes = new RemoteChanges((each) => told.push(each));
  const failed = (reason: string) => changes.entered('berlin', { kind: 'connecting', reason });
  failed(`\u202e\n${'é'.repeat(5_000)}`);
  failed('another reason');
  expect(told.map(({ reason }) => reason)).toEqual(['RemoteClusterUnreachable']);
  expect(Buffer.byteLength(told[0]?.note ?? '')).toBeLessThanOrEqual(1024);
  expect(told[0]?.note).not.toMatch(/[\u202e\n]/);
});
