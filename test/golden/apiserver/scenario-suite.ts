/**
 * The suite of all scenarios on one kind of Kubernetes API.
 */
import { afterAll, beforeAll, describe, test, vi } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { type ProviderName, providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { type Lanes, openLanes } from './lanes.ts';
import { readScenario, scenarioNames } from './recording/scenario.ts';
import { runScenario } from './scenario-run.ts';

/** Far above what a scenario takes: the longest waits for a lease of 25 seconds to end. */
const SCENARIO_TIMEOUT_MS = 180_000;

/** Defines one test per scenario; `lanes` of them run side by side. */
export function scenarioSuite(name: ProviderName, lanes: number): void {
  const missing = providerMissing(name) ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
  vi.setConfig({ maxConcurrency: lanes });
  describe.skipIf(missing !== undefined)(
    `recorded scenarios, ${name} Kubernetes API${missing === undefined ? '' : ` (${missing})`}`,
    () => {
      let open: Lanes;

      beforeAll(async () => {
        open = await openLanes(name, lanes);
      });

      afterAll(() => open?.stop(), 30_000);

      describe.concurrent('leave in etcd what was recorded', () => {
        for (const scenario of scenarioNames().map(readScenario)) {
          test(scenario.name, { timeout: SCENARIO_TIMEOUT_MS }, () =>
            open.use((kubernetes) => runScenario(scenario, kubernetes)),
          );
        }
      });
    },
  );
}
