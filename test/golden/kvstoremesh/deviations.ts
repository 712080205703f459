/**
 * Where this program does something else than the original, and what it does instead.
 *
 * Each entry turns a part of a recorded dump into the dump that is expected of this program, so a deviation is
 * asserted as strictly as all the rest, and one that changes nothing is an error.
 */
import { keyText, type Recording, recordingOf } from './observation.ts';
import type { Scenario } from './scenario.ts';

interface Deviation {
  /** Every scenario, where none is named. */
  readonly scenario?: string;
  /** Every step, where none is named. */
  readonly steps?: readonly number[];
  /** The keys it is about. They are absent. */
  readonly keys: RegExp;
  readonly why: string;
  /** Scenarios that say nothing of this program on account of it. */
  readonly leavesOut?: readonly string[];
}

export const deviations: readonly Deviation[] = [
  { keys: /^cilium\/kvstoremesh-lock\//, why: 'there is no leader lock: every instance mirrors', leavesOut: ['standby'] },
  {
    scenario: 'removal-drain',
    steps: [1, 2, 3, 4],
    keys: /^cilium\/cache\/nodes\/v1\/berlin\/foreign$/,
    why: 'keys that the source does not have are removed right after the first listing',
  },
];

/** Why a scenario is not carried out; undefined where it is. */
export function reasonToSkip({ name, isSlow }: Scenario): string | undefined {
  const reason = deviations.find(({ leavesOut }) => leavesOut?.includes(name))?.why;
  if (reason !== undefined) return reason;
  return isSlow && process.env.GOLDEN_SLOW !== '1' ? 'it takes minutes: GOLDEN_SLOW=1 has it carried out' : undefined;
}

/** What this program is to leave, say and write in a step: what was recorded, with the deviations in place. */
export function expectationOf(scenario: Scenario, step: number): Recording {
  const recording = recordingOf(scenario, step);
  const dump = deviations
    .filter((each) => each.scenario === undefined || each.scenario === scenario.name)
    .filter(({ steps }) => steps === undefined || steps.includes(step))
    .reduce((entries, { keys }) => entries.filter((entry) => !keys.test(keyText(entry))), recording.dump);
  return { ...recording, dump };
}
