import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WatchCursor } from '../../../src/shared/etcd/operations/watch-cursor.ts';
import { type EtcdKey, keyOf, type Revision, type WatchEvent } from '../../../src/shared/etcd/types.ts';

const revision = (value: number) => value as Revision;
const event = (modRevision: number, key = 'k'): WatchEvent => ({
  type: 'delete',
  key: keyOf(key) as EtcdKey,
  modRevision: revision(modRevision),
});
const revisions = (events: readonly WatchEvent[]) => events.map(({ modRevision }) => modRevision);

test('a watch begins at the revision that was asked for', () => {
  expect(new WatchCursor(revision(7)).start).toBe(7);
  expect(new WatchCursor(revision(0)).start).toBe(1);
});

test('a watch resumes after the last revision of a whole answer', () => {
  const cursor = new WatchCursor(revision(5));
  expect(cursor.take([event(5), event(8), event(8)], true)).toMatchObject({ revision: 8, dropped: 0 });
  expect(cursor.start).toBe(9);
});

test('a part of an answer never moves the position past the revision it may have divided', () => {
  const cursor = new WatchCursor(revision(5));
  expect(cursor.take([event(6), event(8)], false).revision).toBe(7);
  expect(cursor.start).toBe(8);
  const rest = cursor.take([event(8, 'l'), event(9)], true);
  expect(revisions(rest.events)).toEqual([8, 9]);
  expect(cursor.start).toBe(10);
});

test('one revision in many parts is resumed from its beginning until the last part', () => {
  const cursor = new WatchCursor(revision(5));
  for (let part = 0; part < 3; part += 1)
    expect(cursor.take([event(5), event(5)], false)).toMatchObject({ revision: 4, dropped: 0 });
  expect(cursor.take([event(5)], true).revision).toBe(5);
});

test('events that were delivered before are dropped and counted', () => {
  const cursor = new WatchCursor(revision(5));
  cursor.take([event(5), event(6)], true);
  const again = cursor.take([event(5), event(6), event(7)], true);
  expect([revisions(again.events), again.dropped]).toEqual([[7], 2]);
});

test('fault 7: events that lag behind others are dropped and counted', () => {
  const cursor = new WatchCursor(revision(1));
  const taken = cursor.take([event(5), event(3), event(5), event(9), event(4)], true);
  expect([revisions(taken.events), taken.dropped, taken.revision]).toEqual([[5, 5, 9], 2, 9]);
});

test('fault 6: progress moves the position forward only', () => {
  const cursor = new WatchCursor(revision(5));
  expect(cursor.progressed(revision(10))).toBe(true);
  expect(cursor.progressed(revision(8))).toBe(false);
  expect(cursor.progressed(revision(10))).toBe(false);
  expect(cursor.start).toBe(11);
});

test('an event that comes after a progress notification that covers it is still delivered', () => {
  const cursor = new WatchCursor(revision(5));
  cursor.progressed(revision(10));
  expect(revisions(cursor.take([event(7)], true).events)).toEqual([7]);
  expect(cursor.start).toBe(11);
});

test('any stream of answers, cut anywhere and resumed, delivers each event at least once, in order, and whole revisions only once', () => {
  const anyHistory = fc
    .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 20 })
    .map((sizes) => sizes.flatMap((size, index) => Array.from({ length: size }, (_, nth) => event(index + 1, `k${nth}`))));
  fc.assert(
    fc.property(
      anyHistory,
      fc.array(fc.record({ answer: fc.integer({ min: 1, max: 6 }), slice: fc.integer({ min: 1, max: 5 }), cut: fc.boolean() })),
      (history, plan) => {
        const cursor = new WatchCursor(revision(1));
        const delivered: WatchEvent[] = [];
        const end = history.at(-1)?.modRevision ?? revision(0);
        let next: number = cursor.start;
        for (const { answer, slice, cut } of [...plan, { answer: 100, slice: 100, cut: false }]) {
          // etcd answers with whole revisions.
          const events = history.filter(({ modRevision }) => modRevision >= next && modRevision < next + answer);
          for (let at = 0; at < events.length; at += slice) {
            delivered.push(...cursor.take(events.slice(at, at + slice), at + slice >= events.length).events);
          }
          next = cut ? cursor.start : Math.min(next + answer, end + 1);
        }
        expect(delivered).toEqual(history);
      },
    ),
  );
});
