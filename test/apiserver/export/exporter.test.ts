import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Decision, Exporter, NOTHING, UNDECIDED } from '../../../src/apiserver/export/exporter.ts';
import { ObjectRejections } from '../../../src/apiserver/export/object-rejections.ts';
import { FirstListing } from '../../../src/apiserver/informers/listing.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { type Clock, systemClock } from '../../../src/shared/time/clock.ts';
import { ManualClock } from '../../support/clocks.ts';
import { recordingSink } from '../recording-sink.ts';

function setup(clock: Clock = systemClock) {
  const sink = recordingSink();
  const metrics = new Registry('test_');
  const lines: string[] = [];
  const decisions = new Map<string, Decision | Error>();
  const prerequisite = new FirstListing();
  const input = new FirstListing();
  const exporter = new Exporter({
    scope: 'nodes/v1',
    sink,
    evaluate: (id) => {
      const decision = decisions.get(id) ?? NOTHING;
      if (decision instanceof Error) throw decision;
      return decision;
    },
    prerequisites: [prerequisite],
    inputs: [input],
    rejections: new ObjectRejections(pino({}, { write: (line: string) => lines.push(line) }), metrics),
    clock,
    signal: new AbortController().signal,
  });
  const decide = async (decided: Readonly<Record<string, Decision | Error>>) => {
    for (const [id, decision] of Object.entries(decided)) {
      decisions.set(id, decision);
      exporter.changed(id);
    }
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
  };
  return { sink, metrics, lines, prerequisite, input, exporter, decide };
}

const one = (id: string, value: string): Decision => ({ entries: [{ key: keyOf(id), value: Buffer.from(value) }], rejected: [] });

test('nothing is evaluated before the prerequisites, and the section is listed after the inputs', async () => {
  const { sink, prerequisite, input, decide } = setup();
  await decide({ a: one('a', '1') });
  expect(sink.words).toEqual([]);
  prerequisite.complete();
  await decide({});
  expect(sink.words).toEqual(['upsert a']);
  input.complete();
  await decide({});
  expect(sink.words).toEqual(['upsert a', 'listed']);
});

test('while it is undecided, what is exported stays', async () => {
  const { sink, prerequisite, decide } = setup();
  prerequisite.complete();
  await decide({ a: one('a', '1') });
  await decide({ a: UNDECIDED });
  expect(sink.texts()).toEqual({ a: '1' });
  await decide({ a: NOTHING });
  expect(sink.texts()).toEqual({});
});

test('what is withdrawn stays away until it changes again, also where a change was still waiting', async () => {
  const { sink, prerequisite, exporter, decide } = setup();
  prerequisite.complete();
  await decide({ a: one('a', '1') });
  exporter.changed('a');
  exporter.withdraw('a');
  await decide({});
  expect(sink.texts()).toEqual({});
  await decide({ a: one('a', '2') });
  expect(sink.texts()).toEqual({ a: '2' });
});

test('an object that cannot be evaluated keeps what it exported, is logged once, counted each time, and harms no other', async () => {
  const { sink, metrics, lines, prerequisite, decide } = setup();
  prerequisite.complete();
  await decide({ a: one('a', '1'), b: one('b', '1') });
  await decide({ a: new Error('unheard of'), b: one('b', '2') });
  await decide({ a: new Error('unheard of') });
  expect(sink.texts()).toEqual({ a: '1', b: '2' });
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual([expect.objectContaining({ scope: 'nodes/v1', object: 'a' })]);
  const failures = await metrics.getSingleMetricAsString('test_export_failures_total');
  expect(failures).toContain('{scope="nodes/v1"} 2');
  expect(failures).toContain('{scope="services/v1"} 0');
  await decide({ a: one('a', '2') });
  await decide({ a: new Error('unheard of') });
  expect(lines).toHaveLength(2);
});

const sized = (id: string, bytes: number, fill: string): Decision => one(id, fill.repeat(bytes));

test('while a large value changes all the time it is written twice a second, with the last change', async () => {
  const clock = new ManualClock();
  const { sink, prerequisite, decide } = setup(clock);
  prerequisite.complete();
  await decide({ large: sized('large', 300_000, 'x') });
  await clock.advance(10_000);
  const before = sink.words.length;
  for (let change = 0; change < 100; change += 1) {
    await decide({ large: sized('large', 300_000, String(change % 10)) });
    if (change === 0) expect(sink.words.length).toBe(before + 1);
    await clock.advance(100);
  }
  await clock.advance(1_000);
  await decide({});
  // In 10 seconds, and the first one, which does not wait.
  expect(sink.words.length - before).toBeLessThanOrEqual(21);
  expect(sink.words.length - before).toBeGreaterThanOrEqual(19);
  expect(sink.texts().large?.at(0)).toBe('9');
  expect(clock.sleeping).toBe(0);
});

test('a change of a large value after a while of rest does not wait, nor does a small value ever', async () => {
  const clock = new ManualClock();
  const { sink, prerequisite, decide } = setup(clock);
  prerequisite.complete();
  await decide({ large: sized('large', 300_000, '1'), small: sized('small', 60_000, '1') });
  await decide({ large: sized('large', 300_000, '2'), small: sized('small', 60_000, '2') });
  expect(sink.words).toEqual(['upsert large', 'upsert small', 'upsert small']);
  await clock.advance(500);
  await decide({});
  expect(sink.words.slice(3)).toEqual(['upsert large']);
  await clock.advance(500);
  await decide({ large: sized('large', 300_000, '3') });
  expect(sink.words.slice(4)).toEqual(['upsert large']);
});

test('the wait grows with the size of the value', async () => {
  const clock = new ManualClock();
  const { sink, prerequisite, decide } = setup(clock);
  prerequisite.complete();
  await decide({ a: sized('a', 96 * 1024, '1') });
  await decide({ a: sized('a', 96 * 1024, '2') });
  await clock.advance(374);
  await decide({});
  expect(sink.words).toEqual(['upsert a']);
  await clock.advance(1);
  await decide({});
  expect(sink.words).toEqual(['upsert a', 'upsert a']);
});

test('what is withdrawn while its change waits is not written after the wait', async () => {
  const clock = new ManualClock();
  const { sink, prerequisite, exporter, decide } = setup(clock);
  prerequisite.complete();
  await decide({ a: sized('a', 300_000, '1') });
  await decide({ a: sized('a', 300_000, '2') });
  exporter.withdraw('a');
  await clock.advance(1_000);
  await decide({});
  expect(sink.texts()).toEqual({});
});
