import { afterAll, beforeAll, describe, test, vi } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import { type ProviderName, providerMissing } from '../../support/kubernetes/kubernetes-provider.ts';
import { type Lanes, openLanes } from './lanes.ts';
import { readScenario, scenarioNames } from './recording/scenario.ts';
import { runScenario } from './scenario-run.ts';

const SCENARIO_TIMEOUT_MS = 300_000;
const isSlowRun = process.env.GOLDEN_SLOW === '1';

/** Scenarios that are not varied, and why. */
const LEFT_OUT: readonly { readonly scenarios: RegExp; readonly why: string }[] = [
  { scenarios: /^config-invalid-/, why: 'the daemon refuses to start' },
  { scenarios: /^(heartbeat|lease-expiry|stale-keys|start-existing)$/, why: 'it is about how long the daemon lives' },
  { scenarios: /^etcd-/, why: 'it is about what a living daemon repairs' },
];

/** Those that are carried out each time: of every kind, and where a run could miss what an earlier one knew. */
const USUAL = [
  'bulk-endpoints',
  'ces-basic',
  'identities-edge',
  'mcs-basic',
  'nodes-malformed',
  'ns-deleted',
  'ns-toggle-objects',
  'svc-basic',
  'svc-slices-multi',
  'v2-only-endpointslice',
];

const WAYS = [
  { title: 'killed right after the changes', restart: { signal: 'SIGKILL', when: 'after the changes' } },
  { title: 'stopped during the changes', restart: { signal: 'SIGTERM', when: 'before the changes' } },
] as const;

const scenarios = scenarioNames()
  .filter((name) => !LEFT_OUT.some((each) => each.scenarios.test(name)))
  .filter((name) => isSlowRun || USUAL.includes(name))
  .map(readScenario);

vi.setConfig({ maxConcurrency: 3 });

/** Defines the tests of one kind of Kubernetes API. Where not `isThorough`, one of the ways is taken in turn. */
function restartSuite(name: ProviderName, lanes: number, isThorough: boolean): void {
  const missing = providerMissing(name) ?? (etcdVersions().length === 0 ? 'no etcd' : undefined);
  const title = `recorded scenarios, ${name} Kubernetes API${missing === undefined ? '' : ` (${missing})`}`;
  describe.skipIf(missing !== undefined)(title, () => {
    let open: Lanes;

    beforeAll(async () => {
      open = await openLanes(name, lanes);
    }, 180_000);

    afterAll(() => open?.stop(), 30_000);

    describe.concurrent('with a daemon that is started again in each step leave what was recorded', () => {
      for (const [index, scenario] of scenarios.entries()) {
        for (const { title: way, restart } of isThorough ? WAYS : WAYS.filter((_, number) => number === index % WAYS.length)) {
          test(`${scenario.name}, ${way}`, { timeout: SCENARIO_TIMEOUT_MS }, () =>
            open.use((kubernetes) => runScenario(scenario, kubernetes, { restart: () => restart })),
          );
        }
      }
    });
  });
}

restartSuite('embedded', 3, isSlowRun);
if (isSlowRun) restartSuite('real', 2, false);
