import { describe, test, vi } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { reasonToSkip } from './comparison/deviations.ts';
import { readScenario, scenarioNames } from './recording/scenario.ts';
import { titleOf } from './recording/scenario-rules.ts';
import { runScenario } from './scenario-run.ts';

/** Far above what a scenario takes: the longest waits three minutes for a cluster to be forgotten. */
const SCENARIO_TIMEOUT_MS = 600_000;

vi.setConfig({ maxConcurrency: 2 });

const missing = etcdVersions().length === 0 ? 'no etcd' : undefined;

describe.concurrent('recorded scenarios of the mirror have the recorded state and status', () => {
  for (const scenario of scenarioNames().map(readScenario)) {
    test(titleOf(scenario.name), { timeout: SCENARIO_TIMEOUT_MS }, async (context) => {
      const reason = missing ?? reasonToSkip(scenario);
      context.skip(reason !== undefined, reason);
      await runScenario(scenario);
    });
  }
});
