import { afterAll, beforeAll, describe, test, vi } from 'vitest';
import { etcdVersions } from '../../support/etcd/etcd-process.ts';
import type { Manifest } from '../../support/kubernetes/kubernetes-provider.ts';
import { Random } from '../../support/random.ts';
import { type Lanes, openLanes } from './lanes.ts';
import { readScenario, type Scenario } from './recording/scenario.ts';
import { runScenario, type Variation } from './scenario-run.ts';

const LANES = 2;
const missing = etcdVersions().length === 0 ? 'no etcd' : undefined;

/** Those with many objects in a step that refer to each other, and with none that claim the same key. */
const SCENARIOS = [
  'ces-basic',
  'mcs-annotations',
  'ns-ces-toggle',
  'ns-toggle-objects',
  'svc-conditions',
  'svc-dualstack',
  'svc-slice-first',
  'svc-slices-multi',
  'svc-toggle',
  'svc-zones-hints',
];

/** Those whose daemon is ended each time: one for each kind of objects that refer to others. */
const RESTARTED = ['mcs-annotations', 'ns-ces-toggle', 'ns-toggle-objects', 'svc-slice-first'];

const isSlowRun = process.env.GOLDEN_SLOW === '1';
const seed = Number(process.env.GOLDEN_SEED ?? Math.floor(Math.random() * 2 ** 31));

vi.setConfig({ maxConcurrency: LANES });

/** Only namespaces come before what is in them. */
function shuffled<T extends Manifest | string>(objects: readonly T[], random: Random): readonly T[] {
  const isNamespace = (object: T) => typeof object !== 'string' && object.kind === 'Namespace';
  const others = objects.filter((object) => !isNamespace(object)).map((object) => ({ object, place: random.next() }));
  others.sort((a, b) => a.place - b.place);
  return [...objects.filter(isNamespace), ...others.map(({ object }) => object)];
}

/** Objects in random order. */
function ordered(random: Random): Variation {
  return { order: (objects) => shuffled(objects, random) };
}

/** In addition the daemon is stopped or killed in one of the steps. */
function orderedAndEnded(random: Random, { steps }: Scenario): Variation {
  const fatal = random.between(1, steps.length + 1);
  const signal = random.pick(['SIGKILL', 'SIGTERM'] as const);
  const when = random.pick(['before the changes', 'amid the changes', 'after the changes'] as const);
  return { ...ordered(random), restart: ({ number }) => (number === fatal ? { signal, when } : undefined) };
}

describe.skipIf(missing !== undefined)(`recorded scenarios${missing === undefined ? '' : ` (${missing})`}`, () => {
  let open: Lanes;

  beforeAll(async () => {
    open = await openLanes('embedded', LANES);
  });

  afterAll(() => open?.stop(), 30_000);

  const repeats = (names: readonly string[], variationOf: (random: Random, scenario: Scenario) => Variation) => {
    for (const scenario of names.map(readScenario)) {
      const own = seed + SCENARIOS.indexOf(scenario.name);
      test(`${scenario.name}, GOLDEN_SEED=${seed}`, { timeout: 180_000 }, () =>
        open.use((kubernetes) => runScenario(scenario, kubernetes, variationOf(new Random(own), scenario))),
      );
    }
  };

  describe.concurrent('whose objects come in a random order leave what was recorded', () => repeats(SCENARIOS, ordered));

  describe.concurrent('whose objects come in a random order to a daemon that is ended in a random step leave what was recorded', () =>
    repeats(isSlowRun ? SCENARIOS : RESTARTED, orderedAndEnded));
});
