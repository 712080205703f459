import { expect, test } from 'vitest';
import { OPENAPI } from '../../../src/kvstoremesh/status/openapi.ts';
import { recordingOf } from '../../golden/kvstoremesh/recording/observation.ts';
import { readScenario, scenarioNames } from '../../golden/kvstoremesh/recording/scenario.ts';
import { violationsOf } from './schema.ts';

const { schema } = OPENAPI.paths['/cluster'].get.responses[200];
const violations = (answer: unknown) => violationsOf(answer, schema, OPENAPI.definitions);

test('every recorded answer of the original is described', () => {
  let count = 0;
  for (const scenario of scenarioNames().map(readScenario)) {
    for (const step of scenario.steps) {
      const { api } = recordingOf(scenario, step.number);
      if (typeof api === 'string') continue;
      count += 1;
      const answer = api.map((cluster) => ({
        ...cluster,
        ...(cluster['last-failure'] === '0001-01-01T00:00:00.000Z' ? {} : { 'last-failure': '2026-03-01T10:20:30.123Z' }),
        ...(cluster['num-failures'] === '<volatile>' ? { 'num-failures': 1 } : {}),
      }));
      expect(violations(answer), `${scenario.name}, step ${step.number}`).toEqual([]);
    }
  }
  expect(count).toBeGreaterThan(180);
});

test('what is not described is found', () => {
  const berlin = { name: 'berlin', status: 'x', synced: {}, 'last-failure': '0001-01-01T00:00:00.000Z' };
  expect(violations([berlin, { ...berlin, reason: 'why', 'num-nodes': 3 }])).toEqual([]);
  expect(violations({})).toEqual(['$: {} is not of type array']);
  expect(violations([{ ...berlin, name: undefined, more: 1 }])).toHaveLength(2);
  expect(violations([{ ...berlin, 'num-nodes': -1 }])).toEqual(['$[0].num-nodes: below 0']);
  expect(violations([{ ...berlin, synced: { nodes: 'yes' } }])).toEqual(['$[0].synced.nodes: "yes" is not of type boolean']);
  expect(violations([{ name: 'berlin', status: 'x', synced: {} }])).toEqual(['$[0]: last-failure is missing']);
});

test('errors have the form that is described', () => {
  expect(violationsOf({ code: 404, message: 'path /x was not found' }, OPENAPI.definitions.Error, OPENAPI.definitions)).toEqual(
    [],
  );
});
