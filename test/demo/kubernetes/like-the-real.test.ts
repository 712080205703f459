/**
 * The embedded API against a real kube-apiserver: the objects of the golden scenarios, applied to both,
 * must be stored alike.
 */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type KubernetesProvider,
  type Manifest,
  providerMissing,
  startKubernetes,
} from '../../support/kubernetes/kubernetes-provider.ts';

interface Step {
  readonly apply?: string;
  readonly applyStatus?: string;
  readonly delete?: readonly string[];
}

const DATA = join(import.meta.dirname, '../../golden/apiserver/data');
const KINDS = [
  'Namespace',
  'Service',
  'EndpointSlice',
  'CiliumNode',
  'CiliumIdentity',
  'CiliumEndpoint',
  'CiliumEndpointSlice',
  'ServiceExport',
];

/** Scenarios whose objects are many and alike. */
const LEFT_OUT = ['bulk-endpoints'];

const missing = providerMissing('real');

describe.skipIf(missing !== undefined)(
  `the embedded API stores what a real kube-apiserver stores${missing ? ` (${missing})` : ''}`,
  () => {
    let real: KubernetesProvider;
    let embedded: KubernetesProvider;

    beforeAll(async () => {
      [real, embedded] = await Promise.all([startKubernetes('real'), startKubernetes('embedded')]);
    }, 90_000);

    afterAll(async () => {
      await Promise.all([real?.stop(), embedded?.stop()]);
    }, 30_000);

    const scenarios = globSync('*/scenario.json', { cwd: DATA })
      .map((path) => path.split('/')[0] ?? '')
      .filter((name) => !LEFT_OUT.includes(name))
      .sort();

    test.each(scenarios)('%s', { timeout: 90_000 }, async (name) => {
      const { steps } = JSON.parse(readFileSync(join(DATA, name, 'scenario.json'), 'utf8')) as { steps: Step[] };
      await Promise.all([real.clean(), embedded.clean()]);
      for (const [index, step] of steps.entries()) {
        const carryOut = async (provider: KubernetesProvider) => {
          if (step.apply !== undefined) await provider.apply(join(DATA, name, step.apply));
          if (step.applyStatus !== undefined) await provider.applyStatus(join(DATA, name, step.applyStatus));
          for (const reference of step.delete ?? []) await provider.delete(reference);
          return stateOf(provider);
        };
        const [expected, actual] = await Promise.all([carryOut(real), carryOut(embedded)]);
        expect(actual, `step ${index + 1}`).toEqual(expected);
      }
    });
  },
);

/** All objects, without what is different in every cluster. */
async function stateOf(provider: KubernetesProvider): Promise<unknown> {
  const lists = await Promise.all(KINDS.map((kind) => provider.list(kind)));
  return lists.flat().filter(isOurs).map(normalized);
}

function isOurs({ metadata }: Manifest): boolean {
  return (
    !(metadata.namespace === 'default' && metadata.name === 'kubernetes') &&
    !metadata.name.startsWith('kube-') &&
    metadata.name !== 'default'
  );
}

function normalized({ metadata, ...rest }: Manifest): unknown {
  const { uid, resourceVersion, creationTimestamp, managedFields, ...others } = metadata;
  // Server-side apply of an empty map leaves null where there was a filled one, an update leaves the empty map.
  const fields = Object.entries(rest).map(([name, value]) => [name, isEmptyMap(value) ? null : value]);
  return { ...(Object.fromEntries(fields) as object), metadata: others };
}

function isEmptyMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}
