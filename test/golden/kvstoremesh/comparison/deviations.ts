/**
 * Where this program does something else than the original, and what it does instead.
 *
 * Each entry turns a part of a recorded dump into the dump that is expected of this program, so a deviation is
 * asserted as strictly as all the rest, also where the recording leaves the keys free, and one that changes nothing
 * is an error.
 */

import { type DumpEntry, keyText, type Recording, recordingOf } from '../recording/observation.ts';
import type { Scenario, Step } from '../recording/scenario.ts';
import type { Permissions } from './comparison.ts';

interface Deviation {
  readonly scenario: string;
  readonly steps: readonly number[];
  /** The keys it is about. */
  readonly keys: RegExp;
  readonly why: string;
  /** `absent`: no such key. `step`: the keys are as recorded after that step. */
  readonly ours: 'absent' | { readonly step: number };
}

const STALE = 'keys that the source does not have are removed right after the first listing';
const REPAIRED = 'keys that were deleted externally, or whose lease was revoked, are restored immediately';
const UNNAMED = 'a key without a name is not mirrored, rather than written outside of the mirrored prefix';
const WATCHED = 'a cluster config that changes is followed at once, not with the next connection only';

export const deviations: readonly Deviation[] = [
  { scenario: 'removal-drain', steps: [1, 2, 3, 4], keys: /\/nodes\/v1\/berlin\/foreign$/, why: STALE, ours: 'absent' },
  { scenario: 'foreign-keys', steps: [1, 2], keys: /\/nodes\/v1\/berlin\/foreign$/, why: STALE, ours: 'absent' },
  {
    scenario: 'daemon-restart',
    steps: [4, 5, 6],
    keys: /\/berlin\/(?:old-node-2|shop\/old(?:-x2)?|id\/459011|10\.7\.3\.171)$/,
    why: STALE,
    ours: 'absent',
  },
  { scenario: 'lease-revoked', steps: [2, 3], keys: /^cilium\/cluster-config\//, why: REPAIRED, ours: { step: 1 } },
  {
    scenario: 'local-tampered',
    steps: [2],
    keys: /\/till-node-1$|^cilium\/synced\/.*\/endpointslices\/v1$/,
    why: REPAIRED,
    ours: { step: 1 },
  },
  {
    scenario: 'local-tampered',
    steps: [3],
    keys: /^cilium\/synced\/.*\/endpointslices\/v1$/,
    why: REPAIRED,
    ours: { step: 1 },
  },
  { scenario: 'keys-binary', steps: [1, 2], keys: /\/nodes\/v1\/berlin$/, why: UNNAMED, ours: 'absent' },
  { scenario: 'keys-dots-slashes', steps: [1, 2], keys: /\/nodes\/v1\/berlin$/, why: UNNAMED, ours: 'absent' },
  {
    scenario: 'capability-change',
    steps: [2],
    keys: /^cilium\/(?:cache|cluster-config|synced)\//,
    why: WATCHED,
    ours: { step: 3 },
  },
];

/** Why a scenario is not carried out; undefined where it is. */
export function reasonToSkip({ isSlow }: Scenario): string | undefined {
  return isSlow && process.env.GOLDEN_SLOW !== '1' ? 'it takes minutes: GOLDEN_SLOW=1 has it carried out' : undefined;
}

/** The expected state, status and writes of this program in a step: the recording with the deviations applied. */
export function expectationOf(scenario: Scenario, step: number): Recording {
  const recording = recordingOf(scenario, step);
  const dump = deviationsOf(scenario, step).reduce(
    (entries, deviation) => deviated(entries, deviation, scenario),
    recording.dump,
  );
  return { ...recording, dump: marked(dump) };
}

/** In every scenario, as soon as a daemon leads: a key for agents of 1.15, which 1.20 does not write any more. */
function marked(dump: readonly DumpEntry[]): readonly DumpEntry[] {
  const marker = { key: 'cilium/.has-cluster-config', value: 'true', leased: true };
  const locks = dump.filter(isLock);
  // A lock of another replica, which scenarios put without a lease, comes first in the queue.
  const isLed = locks.length > 0 && locks.every(({ leased }) => leased);
  const isWritten = dump.some((entry) => entry.leased && !isLock(entry));
  return isLed || isWritten ? [...dump, marker] : dump;
}

function isLock(entry: DumpEntry): boolean {
  return keyText(entry).startsWith('cilium/kvstoremesh-lock/');
}

/** The free parts of the recording of a step: everything that the deviations do not bind. */
export function permissionsOf(scenario: Scenario, { number, mayDiffer, apiMayDiffer }: Step): Permissions {
  const bound = deviationsOf(scenario, number);
  return { apiMayDiffer, mayDiffer: (key) => mayDiffer(key) && !bound.some(({ keys }) => keys.test(key)) };
}

function deviationsOf({ name }: Scenario, step: number): readonly Deviation[] {
  return deviations.filter(({ scenario, steps }) => scenario === name && steps.includes(step));
}

function deviated(dump: readonly DumpEntry[], { keys, ours }: Deviation, scenario: Scenario): readonly DumpEntry[] {
  const concerned = (entry: DumpEntry) => keys.test(keyText(entry));
  const others = dump.filter((entry) => !concerned(entry));
  return ours === 'absent' ? others : [...others, ...recordingOf(scenario, ours.step).dump.filter(concerned)];
}
