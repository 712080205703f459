/**
 * The recordings themselves, and the parts that compare with them: a comparison that sees nothing would
 * make every scenario pass.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { prefixRange } from '../../support/etcd/etcd-gateway.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { compareApi, compareDumps, compareState, compareStatus, needlessWrites } from './comparison/comparison.ts';
import { deviations, expectationOf, permissionsOf, reasonToSkip } from './comparison/deviations.ts';
import { bytesOf } from './recording/input-bytes.ts';
import { comparableStatus, type DumpEntry, entryOf, type Observation, recordingOf } from './recording/observation.ts';
import { readScenario, scenarioNames } from './recording/scenario.ts';
import { actionsOf } from './recording/scenario-actions.ts';
import { shownStatus } from './recording/status-text.ts';
import { ProjectedDirectory } from './stage/projected-directory.ts';

const scenarios = scenarioNames().map(readScenario);
const steps = scenarios.flatMap((scenario) => scenario.steps.map((step) => ({ scenario, step })));
const STRICT = { mayDiffer: () => false, apiMayDiffer: false };
const entry = (key: string, value: string, leased = true): DumpEntry => ({ key, value, leased });

describe('recordings', () => {
  test('every scenario can be read, has recordings of all its steps, and each is equal to itself', () => {
    expect(scenarios.length).toBeGreaterThan(50);
    for (const { scenario, step } of steps) {
      const recording = recordingOf(scenario, step.number);
      expect(compareState(recording, { ...recording, revisions: new Map() }, STRICT)).toEqual([]);
      expect(recording.readyz).toMatch(/^(?:200 Ready|500 NotReady|unreachable)$/);
    }
  });

  test('what a step leaves free is a part of it', () => {
    const free = steps.filter(({ step }) => step.mayDiffer('cilium/cluster-config/berlin') || step.apiMayDiffer);
    expect(free.length).toBeGreaterThan(5);
    for (const { step } of free)
      expect(step.mayDiffer('cilium/cache/nodes/v1/fine/cart-node-0') && !step.apiMayDiffer).toBe(false);
    const binary = readScenario('keys-binary').steps[0];
    expect(binary?.mayDiffer('cilium/cache/nodes/v1/berlin')).toBe(true);
    expect(binary?.mayDiffer('cilium/cache/nodes/v1/berlin/plain')).toBe(false);
  });
});

describe('the text of the status command', () => {
  const shown = steps.filter(({ scenario, step }) => recordingOf(scenario, step.number).status !== undefined);

  test('is that of the original for every answer that was recorded', () => {
    expect(shown.length).toBeGreaterThan(180);
    for (const { scenario, step } of shown) {
      const { api, status } = recordingOf(scenario, step.number);
      expect(shownStatus(answerOf(api), scenario.volatile), `${scenario.name}, step ${step.number}`).toBe(status);
    }
  });

  test('a line that differs, is missing or too many is a difference', () => {
    expect(compareStatus('a\nb\n', 'a\nb\n')).toEqual([]);
    expect(compareStatus('a\nb\n', 'a\nc\n')).toEqual(['status   line 2: expected "b", got "c"']);
    expect(compareStatus('a\n', 'a\nb\n')).toHaveLength(2);
    expect(compareStatus('a\n', undefined)).toHaveLength(2);
    expect(compareStatus(undefined, 'a\n')).toHaveLength(2);
    expect(compareStatus(undefined, undefined)).toEqual([]);
  });

  /** Members that the recordings hide have some value again. */
  function answerOf(api: Observation['api']): unknown {
    if (typeof api === 'string') throw new Error(`no response: ${api}`);
    return api.map((cluster) =>
      Object.fromEntries(
        Object.entries(cluster)
          .filter(([, value]) => value !== '<volatile>')
          .map(([member, value]) => [member, value === '<time>' ? '2026-03-01T10:20:30.123Z' : value]),
      ),
    );
  }
});

describe('deviations', () => {
  test.each(deviations)('$scenario, steps $steps: $why', ({ scenario, steps: numbers, keys }) => {
    const concerned = steps.filter((each) => {
      return (
        (scenario ?? each.scenario.name) === each.scenario.name && (numbers ?? [each.step.number]).includes(each.step.number)
      );
    });
    const about = ({ dump }: { dump: readonly DumpEntry[] }) =>
      dump.filter(({ key }) => typeof key === 'string' && keys.test(key));
    const changed = concerned.filter(({ scenario: each, step }) => {
      return !isDeepStrictEqual(about(expectationOf(each, step.number)), about(recordingOf(each, step.number)));
    });
    if (numbers === undefined) expect(changed, 'the deviation says nothing').not.toEqual([]);
    else expect(changed, 'the deviation says nothing of one of its steps').toEqual(concerned);
  });

  test('free parts of a recording are bound if a deviation defines them', () => {
    const tampered = readScenario('local-tampered');
    const step = tampered.steps[1];
    if (step === undefined) throw new Error('the scenario has no second step');
    const key = 'cilium/cache/nodes/v1/berlin/till-node-1';
    expect([step.mayDiffer(key), permissionsOf(tampered, step).mayDiffer(key)]).toEqual([true, false]);
    expect(permissionsOf(tampered, step).mayDiffer('cilium/cluster-config/berlin')).toBe(true);
  });

  test('a scenario is left out only because it takes minutes', () => {
    for (const scenario of scenarios)
      expect(reasonToSkip(scenario) !== undefined).toBe(scenario.isSlow && process.env.GOLDEN_SLOW !== '1');
  });
});

describe('comparing', () => {
  test('a missing key, one too many, another lease and another value are differences', () => {
    const expected = [entry('a', '1'), entry('b', '{"x":1}'), entry('c', '1'), entry('e', '')];
    const actual = [entry('b', '{"x":1 }'), entry('c', '1', false), entry('d', '1'), entry('e', '')];
    expect(compareDumps(expected, actual, STRICT)).toEqual([
      'missing  a',
      'differs  b at the value: expected "{\\"x\\":1}", got "{\\"x\\":1 }"',
      'lease    c: leased should be true',
      'too many d = "1"',
    ]);
    expect(compareDumps(expected, actual, { ...STRICT, mayDiffer: (key) => key < 'd' })).toEqual(['too many d = "1"']);
  });

  test('cluster configs are compared as JSON', () => {
    const key = 'cilium/cluster-config/berlin';
    expect(compareDumps([entry(key, '{"id":1,"a":2}')], [entry(key, '{"a":2, "id":1}')], STRICT)).toEqual([]);
    expect(compareDumps([entry(key, '{"id":1}')], [entry(key, '{"id":2}')], STRICT)).toHaveLength(1);
    expect(compareDumps([entry(key, '{')], [entry(key, '{ ')], STRICT)).toHaveLength(1);
  });

  test('keys that were made equal are counted', () => {
    const [mine, other] = [entry('lock', '', true), entry('lock', '', false)];
    expect(compareDumps([mine, other], [other, mine], STRICT)).toEqual([]);
    expect(compareDumps([mine, other], [other], STRICT)).not.toEqual([]);
    expect(compareDumps([mine], [mine, mine], STRICT)).toEqual(['too many lock = ""']);
  });

  test('further members of the API are free, those of the original are not, also where it leaves them out', () => {
    const berlin = { name: 'berlin', ready: true, 'num-nodes': 2 };
    expect(compareApi([berlin], [{ ...berlin, more: 1 }])).toEqual([]);
    expect(compareApi([berlin], [{ ...berlin, 'num-nodes': 3 }])).toEqual([
      'api      berlin.num-nodes: expected 2, got 3'.replace('.num', ' at .num'),
    ]);
    expect(compareApi([berlin], [{ ...berlin, 'num-failures': 1 }])).toHaveLength(1);
    expect(compareApi([berlin], [])).toHaveLength(1);
    expect(compareApi([berlin], 'unreachable')).toHaveLength(1);
    const state = {
      dump: [],
      api: [berlin],
      status: 'a\n',
      readyz: '200 Ready',
      written: new Set<string>(),
      revisions: new Map(),
    };
    expect(compareState(state, { ...state, readyz: '500 NotReady' }, STRICT)).toEqual([
      'readyz   expected 200 Ready, got 500 NotReady',
    ]);
    expect(compareState(state, { ...state, api: [], readyz: '500 NotReady' }, { ...STRICT, apiMayDiffer: true })).toEqual([]);
  });

  test('a mirrored key that is written though the original left it alone is a difference, fewer writes are none', () => {
    const [one, two, canary] = ['cilium/cache/nodes/v1/a/1', 'cilium/cache/nodes/v1/a/2', 'cilium/synced/a/b'];
    const before = new Map([one, two, canary].map((key) => [key, '5']));
    const after = new Map([one, canary].map((key) => [key, '6']));
    expect(needlessWrites(new Set([one, two]), before, after, STRICT)).toEqual([]);
    expect(needlessWrites(new Set([two]), before, after, STRICT)).toEqual([`written  ${one}, without need`]);
    expect(needlessWrites(new Set([two]), before, after, { ...STRICT, mayDiffer: () => true })).toEqual([]);
  });
});

describe('what differs from run to run is made equal', () => {
  const seen = (key: string, value: string | Buffer, leaseId = '7') =>
    entryOf({ key: Buffer.from(key), value: Buffer.from(value), leaseId });

  test('times of canaries, leases of locks, long values', () => {
    expect(seen('cilium/synced/a/b', '2026-03-01T10:20:30Z')).toEqual(entry('cilium/synced/a/b', '<time>'));
    expect(seen('cilium/synced/a/b', 'soon', '0')).toEqual(entry('cilium/synced/a/b', 'soon', false));
    expect(seen('cilium/cache/nodes/v1/a/b', '2026-03-01T10:20:30Z').value).toBe('2026-03-01T10:20:30Z');
    expect(seen('cilium/kvstoremesh-lock/694d8c', '').key).toBe('cilium/kvstoremesh-lock/<lease>');
    expect(seen('cilium/kvstoremesh-lock/other', '').key).toBe('cilium/kvstoremesh-lock/other');
    expect(seen('k', Buffer.from([0xff])).value).toEqual({ base64: '/w==' });
    expect(seen('k', 'x'.repeat(4097)).value).toMatchObject({ length: 4097, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  });

  test('ports, IDs and the times of failures, and what is volatile', () => {
    const status = 'etcd: 127.0.0.1:2379, ID: 1f, cluster ID has changed: expected 12, got 34';
    expect(comparableStatus({ status, 'last-failure': '2026-03-01T10:20:30.123Z', 'num-failures': 3 }, ['num-failures'])).toEqual(
      {
        status: 'etcd: 127.0.0.1:<port>, ID: <id>, cluster ID has changed: expected <id>, got <id>',
        'last-failure': '<time>',
        'num-failures': '<volatile>',
      },
    );
    const never = { 'last-failure': '0001-01-01T00:00:00.000Z' };
    expect(comparableStatus(never, [])).toEqual(never);
  });
});

describe('carrying out', () => {
  let parent: string;
  beforeEach(() => {
    parent = temporaryDirectory('golden-test');
  });

  const contentOf = (directory: string) =>
    Object.fromEntries(
      readdirSync(directory)
        .filter((name) => !name.startsWith('..'))
        .map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
    );

  test.each([true, false])(
    'the configuration directory has the files that were published last (projected: %s)',
    (isProjected) => {
      const config = new ProjectedDirectory(parent, isProjected);
      config.set('a', '1\n');
      config.set('b', '2\n');
      config.publish();
      expect(contentOf(config.path)).toEqual({ a: '1\n', b: '2\n' });
      config.remove('a');
      config.set('c', '3\n');
      config.touch('b');
      config.publish();
      expect(contentOf(config.path)).toEqual({ b: '2\n# changed\n', c: '3\n' });
      if (isProjected) expect(readlinkSync(join(config.path, 'c'))).toBe('..data/c');
      expect(readdirSync(config.path).filter((name) => name.startsWith('..'))).toHaveLength(isProjected ? 2 : 0);
    },
  );

  test('the actions of a step are carried out in the order in which they are written', () => {
    const nested = [
      { source: 'a', put: { k: 'v', l: { base64: '/w==' } } },
      { local: true, delete: ['k'] },
    ];
    expect(actionsOf({ do: nested, killSource: 'a', settle: 3 })).toEqual([
      { type: 'put', store: { source: 'a' }, key: 'k', value: 'v' },
      { type: 'put', store: { source: 'a' }, key: 'l', value: { base64: '/w==' } },
      { type: 'delete', store: 'local', key: 'k' },
      { type: 'stopSource', source: 'a' },
    ]);
    expect(() => actionsOf({ explode: true })).toThrow('there is no action explode');
  });

  test('described bytes are what they are described as', () => {
    expect(bytesOf({ repeat: 'xyz', length: 5 }).toString()).toBe('xyzxy');
    expect(bytesOf({ base64: '/w==' })).toEqual(Buffer.from([0xff]));
    expect(bytesOf({ pattern: 'seed', length: 40 })).toHaveLength(40);
    expect(bytesOf({ pattern: 'seed', length: 40 })).toEqual(bytesOf({ pattern: 'seed', length: 70 }).subarray(0, 40));
  });

  test('the range of a prefix ends where its keys do', () => {
    const ends = (prefix: number[]) => [...Buffer.from(prefixRange(Buffer.from(prefix)).range_end, 'base64')];
    expect(ends([1, 2])).toEqual([1, 3]);
    expect(ends([1, 0xff])).toEqual([2]);
    expect(ends([0xff])).toEqual([0]);
    expect(prefixRange(Buffer.alloc(0))).toEqual({ key: 'AA==', range_end: 'AA==' });
  });
});
