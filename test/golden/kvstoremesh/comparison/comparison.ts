/**
 * What was seen compared with what was recorded. Every line that is returned is a failure.
 *
 * Values are compared byte by byte, those of cluster configs as JSON. What a step allows to differ is left out.
 */
import { isDeepStrictEqual } from 'node:util';
import { differencesOf, shortened } from '../../value-differences.ts';
import { type ClusterStatus, type DumpEntry, keyText, type Observation, type Recording } from '../recording/observation.ts';
import type { Step } from '../recording/scenario.ts';

/** What is not compared. */
export type Permissions = Pick<Step, 'mayDiffer' | 'apiMayDiffer'>;

/** Where etcd, the API or readiness are not as recorded. */
export function compareState(expected: Recording, actual: Observation, step: Permissions): readonly string[] {
  return [
    ...compareDumps(expected.dump, actual.dump, step),
    ...(step.apiMayDiffer ? [] : [...compareApi(expected.api, actual.api), ...compareStatus(expected.status, actual.status)]),
    ...(step.apiMayDiffer || expected.readyz === actual.readyz
      ? []
      : [`readyz   expected ${expected.readyz}, got ${actual.readyz}`]),
  ];
}

export function compareDumps(expected: readonly DumpEntry[], actual: readonly DumpEntry[], step: Permissions): string[] {
  // Keys that were made equal (locks) are several of one text.
  const wanted = Map.groupBy(expected.toSorted(leasedFirst), keyText);
  const found = Map.groupBy(actual.toSorted(leasedFirst), keyText);
  return [...new Set([...wanted.keys(), ...found.keys()])]
    .filter((key) => !step.mayDiffer(key))
    .toSorted()
    .flatMap((key) => {
      const [want = [], have = []] = [wanted.get(key), found.get(key)];
      return Array.from({ length: Math.max(want.length, have.length) }, (_, index) =>
        compareEntries(key, want[index], have[index]),
      ).flat();
    });
}

function leasedFirst(one: DumpEntry, other: DumpEntry): number {
  return Number(other.leased) - Number(one.leased);
}

function compareEntries(key: string, want: DumpEntry | undefined, have: DumpEntry | undefined): string[] {
  if (have === undefined) return [`missing  ${key}`];
  if (want === undefined) return [`too many ${key} = ${shortened(have.value)}`];
  return [
    ...(want.leased === have.leased ? [] : [`lease    ${key}: leased should be ${want.leased}`]),
    ...differencesOf(meaningOf(want), meaningOf(have)).map((difference) => `differs  ${key}${difference}`),
  ];
}

function meaningOf({ key, value }: DumpEntry): unknown {
  if (typeof key !== 'string' || !key.startsWith('cilium/cluster-config/') || typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

/** The members of a cluster in the original's API. Further members are free; these are as recorded, or absent as recorded. */
const MEMBERS = [
  'name',
  'connected',
  'ready',
  'status',
  'config',
  'synced',
  'num-nodes',
  'num-shared-services',
  'num-endpoints',
  'num-identities',
  'num-service-exports',
  'num-endpoint-slices',
  'num-failures',
  'last-failure',
];

export function compareApi(expected: Recording['api'], actual: Observation['api']): string[] {
  if (typeof expected === 'string' || typeof actual === 'string')
    return expected === actual ? [] : [`api      expected ${shortened(expected)}, got ${shortened(actual)}`];
  const names = (clusters: readonly ClusterStatus[]) => clusters.map(({ name }) => name);
  if (!isDeepStrictEqual(names(expected), names(actual)))
    return [`api      expected the clusters ${shortened(names(expected))}, got ${shortened(names(actual))}`];
  return expected.flatMap((want, index) =>
    MEMBERS.flatMap((member) => differencesOf(want[member], actual[index]?.[member], `.${member}`)).map(
      (difference) => `api      ${String(want.name)}${difference}`,
    ),
  );
}

export function compareStatus(expected: string | undefined, actual: string | undefined): string[] {
  const [want, have] = [expected, actual].map((text) => text?.split('\n') ?? []);
  return Array.from({ length: Math.max(want?.length ?? 0, have?.length ?? 0) }, (_, index) => index)
    .filter((index) => want?.[index] !== have?.[index])
    .map((index) => `status   line ${index + 1}: expected ${shortened(want?.[index])}, got ${shortened(have?.[index])}`);
}

/** Mirrored keys that were written though there was nothing to write. Fewer writes than the original's are fine. */
export function needlessWrites(
  written: Recording['written'],
  before: Observation['revisions'],
  after: Observation['revisions'],
  step: Permissions,
): readonly string[] {
  return [...after]
    .filter(([key, revision]) => key.startsWith('cilium/cache/') && before.get(key) !== revision)
    .filter(([key]) => !written.has(key) && !step.mayDiffer(key))
    .map(([key]) => `written  ${key}, without need`);
}
