import { setImmediate as nextTurn } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type Decision, Exporter, NOTHING, UNDECIDED } from '../../../src/apiserver/export/exporter.ts';
import { ObjectRejections } from '../../../src/apiserver/export/object-rejections.ts';
import { FirstListing } from '../../../src/apiserver/informers/listing.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { Registry } from '../../../src/shared/http/metrics.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import { recordingSink } from '../recording-sink.ts';

function setup() {
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
    clock: systemClock,
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
