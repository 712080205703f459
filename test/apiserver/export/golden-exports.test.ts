/**
 * The recorded behaviour of the original, step by step: the objects of each scenario go through projections,
 * converters and exports, and the keys have to be those of the recording. What needs a process, an etcd or a
 * selector of the API server is not for here.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ClusterModel, type Manifest } from '../cluster-model.ts';
import { asServed, CREATION_TIME } from './api-server-defaults.ts';

const DATA = join(import.meta.dirname, '../../golden/apiserver/data');

/** Scenarios that need the selectors of an API server, or a flag of the daemon. */
const OUT_OF_REACH: ReadonlySet<string> = new Set(['svc-proxy-name', 'svc-metadata', 'v2-only-endpointslice']);

/** Keys that the original writes or keeps incorrectly; the reason is at the code that differs. */
const DEVIATIONS: ReadonlyMap<string, RegExp> = new Map([
  // The age of objects decides, which only a Kubernetes API gives them.
  ['endpoints-conflict', /default\/10\.92\.0\.1$/],
  ['ces-conflict', /default\/10\.97\.0\.1$/],
  ['endpoints-edge', /default\/<nil>$/],
  ['identities-edge', /id\/(196608|65536)$/],
  ['svc-types', /services\/.*\/(ext|extports)$/],
  ['svc-slice-ports', /endpointslices\/.*\/(fqdn-1|mixed-f)$/],
  ['svc-slices-multi', /services\/.*\/barge$/],
  ['svc-conditions', /services\/.*\/relay$/],
  ['svc-zones-hints', /services\/.*\/atlas$/],
]);

interface Scenario {
  readonly kind?: string;
  readonly flags: {
    readonly clusterName: string;
    readonly clusterId: number;
    readonly mcsApi?: boolean;
    readonly ciliumEndpointSlice?: boolean;
    readonly defaultGlobalNamespace?: boolean;
  };
  readonly steps: readonly Readonly<Record<string, unknown>>[];
  readonly informative?: readonly number[];
}

interface RecordedKey {
  readonly key: string;
  readonly value: string | object;
  readonly protobuf?: { readonly base64: string };
}

const scenarios = existsSync(DATA) ? readdirSync(DATA).sort() : [];

for (const name of scenarios) {
  const scenario = JSON.parse(readFileSync(join(DATA, name, 'scenario.json'), 'utf8')) as Scenario;
  // The others are played in test/golden/apiserver alone, as all are, with a daemon and API servers.
  if (!isWithinReach(name, scenario)) continue;
  test(`${name} gives the recorded keys`, async () => {
    const { clusterName, clusterId, defaultGlobalNamespace = true } = scenario.flags;
    const cluster = { name: clusterName, id: clusterId };
    const model = new ClusterModel({ cluster, isGlobalByDefault: defaultGlobalNamespace });
    model.listed();
    for (const [index, step] of scenario.steps.entries()) {
      play(model, scenario, name, step);
      await model.settled();
      if (scenario.informative?.includes(index + 1)) continue;
      expect(actual(model, name), `step ${index + 1}`).toEqual(expected(name, index + 1));
    }
  });
}

test.skipIf(scenarios.length === 0)('enough of the recordings are within reach', () => {
  const reached = scenarios.filter((name) => {
    const scenario = JSON.parse(readFileSync(join(DATA, name, 'scenario.json'), 'utf8')) as Scenario;
    return isWithinReach(name, scenario);
  });
  expect(reached.length).toBeGreaterThan(25);
});

/** True if the scenario only applies and deletes objects. */
function isWithinReach(name: string, { kind, steps }: Scenario): boolean {
  const verbs = ['apply', 'applyStatus', 'delete', 'settle', 'comment'];
  return (
    kind === undefined &&
    !OUT_OF_REACH.has(name) &&
    steps.every((step) => Object.keys(step).every((verb) => verbs.includes(verb)))
  );
}

function play(model: ClusterModel, scenario: Scenario, name: string, step: Readonly<Record<string, unknown>>): void {
  const { mcsApi = false, ciliumEndpointSlice = false } = scenario.flags;
  const ignored = new Set([ciliumEndpointSlice ? 'CiliumEndpoint' : 'CiliumEndpointSlice', ...(mcsApi ? [] : ['ServiceExport'])]);
  if (typeof step.apply === 'string') {
    for (const document of parseAllDocuments(readFileSync(join(DATA, name, step.apply), 'utf8'))) {
      const manifest = document.toJS() as Manifest;
      if (!ignored.has(manifest.kind)) model.apply(asServed(manifest));
    }
  }
  for (const reference of (step.delete as string[] | undefined) ?? []) {
    const [kind = '', ...path] = reference.split('/');
    const objectName = path.pop() ?? '';
    model.remove(kind, objectName, path[0]);
  }
}

function isCompared(scenario: string, key: string): boolean {
  return key.startsWith('cilium/state/') && !DEVIATIONS.get(scenario)?.test(key);
}

/** Keys and texts, times as recordings have them; of compressed values the message. */
function actual(model: ClusterModel, scenario: string): Record<string, string> {
  const held = Object.values(model.sinks).flatMap((sink) => [...sink.held]);
  return Object.fromEntries(
    held
      .filter(([key]) => isCompared(scenario, key))
      .map(([key, value]) => [
        key,
        key.includes('/endpointslices/')
          ? zstdDecompressSync(value).toString('base64')
          : value.toString().replace(`"${CREATION_TIME}"`, '"<time>"'),
      ]),
  );
}

function expected(scenario: string, step: number): Record<string, string> {
  const recorded = JSON.parse(readFileSync(join(DATA, scenario, `${step}-expected.json`), 'utf8')) as RecordedKey[];
  return Object.fromEntries(
    recorded
      .filter(({ key }) => isCompared(scenario, key))
      .map(({ key, value, protobuf }) => [key, typeof value === 'string' ? value : (protobuf?.base64 ?? '')]),
  );
}
