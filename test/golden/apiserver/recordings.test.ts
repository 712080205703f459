/**
 * The recordings themselves, and the parts that compare with them: a comparison that sees nothing would
 * make every scenario pass.
 */
import { describe, expect, test } from 'vitest';
import { type Deviation, deviations, expectedDump, restartDeviations } from './comparison/deviations.ts';
import { compareDumps } from './comparison/dump-comparison.ts';
import { scenarioArguments } from './daemon.ts';
import { decodeEndpointSlice } from './recording/endpoint-slice-message.ts';
import { type DumpEntry, entryOf } from './recording/etcd-dump.ts';
import { readScenario, recordedDump, type Scenario, scenarioNames } from './recording/scenario.ts';

const scenarios = scenarioNames().map(readScenario);
const steps = scenarios.flatMap((scenario) => scenario.steps.map(({ number }) => ({ scenario, number })));
const entry = (key: string, value: string, leased = true): DumpEntry => ({ key, value, leased });

/** Without the deviation the dumps would be others. */
function expectToMatter(
  { scenario: name, steps: concerned, keys }: Deviation,
  without: (scenario: Scenario, step: number) => readonly DumpEntry[],
  isRestarted: boolean,
): void {
  const scenario = readScenario(name);
  for (const step of concerned) {
    const theirs = without(scenario, step).filter(({ key }) => keys.test(key));
    const ours = expectedDump(scenario, step, isRestarted).filter(({ key }) => keys.test(key));
    expect(ours, `step ${step} is as recorded: the deviation says nothing`).not.toEqual(theirs);
  }
}

describe('recordings', () => {
  test('every scenario can be read, and has a dump for each of its steps', () => {
    expect(scenarios.length).toBeGreaterThan(50);
    for (const { scenario, number } of steps) expect(Array.isArray(recordedDump(scenario, number))).toBe(true);
  });

  test('endpoint slices are decoded as they were when they were recorded', () => {
    let count = 0;
    for (const { scenario, number } of steps) {
      for (const { key, value, decoded, protobuf, leased } of recordedDump(scenario, number)) {
        if (decoded === undefined || protobuf === undefined || typeof value === 'string') continue;
        count += 1;
        expect(decodeEndpointSlice(Buffer.from(protobuf.base64, 'base64'))).toEqual(decoded);
        expect(entryOf(Buffer.from(key), Buffer.from(value.base64, 'base64'), leased)).toEqual({
          key,
          value,
          decoded,
          protobuf,
          leased,
        });
      }
    }
    expect(count).toBeGreaterThan(100);
  });

  test('a recorded dump is equal to itself', () => {
    for (const { scenario, number } of steps) {
      const dump = recordedDump(scenario, number);
      expect(compareDumps(dump, dump)).toEqual({ meaning: [], bytes: [] });
    }
  });
});

describe('deviations', () => {
  test.each(deviations)('$scenario, steps $steps: $why', (deviation) => {
    expectToMatter(deviation, (scenario, step) => recordedDump(scenario, step), false);
  });

  test.each(restartDeviations)('$scenario, started again in steps $steps: $why', (deviation) => {
    expectToMatter(deviation, (scenario, step) => expectedDump(scenario, step), true);
  });

  test('a scenario without deviations of its own is expected as it was recorded, with the key for agents of 1.15', () => {
    const scenario = readScenario('svc-basic');
    const [marker, ...others] = expectedDump(scenario, 1);
    expect(marker).toEqual({ key: 'cilium/.has-cluster-config', value: 'true', leased: true });
    expect(others).toEqual(recordedDump(scenario, 1));
  });

  test('edited values are still what they were, but for the edit', () => {
    const barge = expectedDump(readScenario('svc-slices-multi'), 4).find(({ key }) => key.endsWith('/fleet/barge'));
    expect(JSON.parse(String(barge?.value))).toMatchObject({ name: 'barge', backends: { '10.26.0.2': {} } });
    expect(Object.keys((JSON.parse(String(barge?.value)) as { backends: object }).backends)).toEqual(['10.26.0.2']);
    const extports = expectedDump(readScenario('svc-types'), 1).find(({ key }) => key.endsWith('/extports'));
    expect(JSON.parse(String(extports?.value))).toMatchObject({ name: 'extports', frontends: {}, backends: {} });
  });
});

describe('comparing dumps', () => {
  test('a missing key, one too many, another lease and another value are differences of meaning', () => {
    const expected = [entry('a', '1'), entry('b', '{"x":[1,2]}'), entry('c', '1')];
    const actual = [entry('b', '{"x":[1,3]}'), entry('c', '1', false), entry('d', '1')];
    expect(compareDumps(expected, actual).meaning).toEqual([
      'missing  a',
      'differs  b at .x[1]: expected 2, got 3',
      'lease    c: leased should be true',
      'too many d = 1',
    ]);
  });

  test('an absent field is not the same as a null one', () => {
    expect(compareDumps([entry('a', '{"x":null}')], [entry('a', '{}')]).meaning).toEqual([
      'differs  a at .x: expected null, got nothing',
    ]);
  });

  test('the same JSON in other bytes is a difference of bytes only', () => {
    const { meaning, bytes } = compareDumps([entry('a', '{"x":1,"y":2}')], [entry('a', '{"y":2,"x":1}')]);
    expect(meaning).toEqual([]);
    expect(bytes).toHaveLength(1);
  });

  test('the same message in another compressed frame is no difference', () => {
    const slice = recordedDump(readScenario('svc-basic'), 1).find(({ protobuf }) => protobuf !== undefined);
    expect(slice).toBeDefined();
    if (slice === undefined) return;
    expect(compareDumps([slice], [{ ...slice, value: { base64: 'AAAA' } }])).toEqual({ meaning: [], bytes: [] });
    expect(compareDumps([slice], [{ ...slice, protobuf: { base64: 'AAAA' } }]).bytes).toHaveLength(1);
  });

  test('times are made equal where the recordings made them so', () => {
    const time = '2026-03-01T10:20:30Z';
    expect(entryOf(Buffer.from('cilium/synced/a/b'), Buffer.from(time), true).value).toBe('<time>');
    expect(entryOf(Buffer.from('cilium/synced/a/b'), Buffer.from('soon'), true).value).toBe('soon');
    const exported = `{"exportCreationTimestamp":"${time}"}`;
    expect(entryOf(Buffer.from('cilium/state/serviceexports/v1/a/b/c'), Buffer.from(exported), true).value).toBe(
      '{"exportCreationTimestamp":"<time>"}',
    );
    expect(entryOf(Buffer.from('k'), Buffer.from([0xff]), true).value).toEqual({ base64: '/w==' });
  });

  test('the settings of a scenario become flags', () => {
    expect(scenarioArguments({ clusterName: 'a', clusterId: 1 })).toEqual([]);
    expect(scenarioArguments({ clusterName: 'a', clusterId: 1, mcsApi: false, leaseTTL: '25s' })).toEqual([
      '--clustermesh-enable-mcs-api=false',
      '--kvstore-lease-ttl=25s',
    ]);
  });
});
