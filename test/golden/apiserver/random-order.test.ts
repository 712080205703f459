/**
 * Recorded scenarios whose objects come in a random order, as those of different kinds do: what is exported follows from what
 * there is, not from what came first. `GOLDEN_SEED=<seed>` repeats an order.
 */
import { afterAll, beforeAll, describe, test, vi } from 'vitest';
import { Random } from '../../soak/random.ts';
import { etcdVersions } from '../../support/etcd-process.ts';
import type { Manifest } from '../../support/kubernetes-provider.ts';
import { type Lanes, openLanes } from './lanes.ts';
import { readScenario } from './scenario.ts';
import { runScenario } from './scenario-run.ts';

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

vi.setConfig({ maxConcurrency: LANES });

/** Only namespaces come before what is in them. */
function shuffled<T extends Manifest | string>(objects: readonly T[], random: Random): readonly T[] {
  const isNamespace = (object: T) => typeof object !== 'string' && object.kind === 'Namespace';
  const others = objects.filter((object) => !isNamespace(object)).map((object) => ({ object, place: random.next() }));
  others.sort((a, b) => a.place - b.place);
  return [...objects.filter(isNamespace), ...others.map(({ object }) => object)];
}

describe.skipIf(missing !== undefined)(`recorded scenarios${missing === undefined ? '' : ` (${missing})`}`, () => {
  let open: Lanes;

  beforeAll(async () => {
    open = await openLanes('embedded', LANES);
  }, 120_000);

  afterAll(() => open?.stop(), 30_000);

  describe.concurrent('whose objects come in a random order leave what was recorded', () => {
    const seed = Number(process.env.GOLDEN_SEED ?? Math.floor(Math.random() * 2 ** 31));
    for (const scenario of SCENARIOS.map(readScenario)) {
      test(`${scenario.name}, GOLDEN_SEED=${seed}`, { timeout: 180_000 }, () => {
        const random = new Random(seed);
        const order = <T extends Manifest | string>(objects: readonly T[]) => shuffled(objects, random);
        return open.use((kubernetes) => runScenario(scenario, kubernetes, { order }));
      });
    }
  });
});
