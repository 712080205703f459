/** `doctor`, and the same for `connect --check`. */
import type { DoctorReport } from '../mesh/doctor/doctor.ts';
import { type DoctorFlags, doctorFlagTable } from '../mesh/flags.ts';
import { systemClock } from '../shared/time/clock.ts';
import { answerForm, findingsForm } from './command/answer-form.ts';
import { flagCommand } from './command/flag-command.ts';
import { print } from './command/output.ts';

export const doctor = flagCommand({
  name: 'doctor',
  summary: 'Check this cluster, or several clusters with each other; the exit status is 1 if there is an error',
  flags: doctorFlagTable,
  examples: [
    'doctor --context=east',
    'doctor --context=east --destination-context=west,north',
    'doctor --context=east --pods=false -o json',
  ],
  run: ({ values }) => examine(values),
});

/** Prints what is found, and resolves with the exit status. */
export async function examine(flags: DoctorFlags): Promise<number> {
  const [{ doctor }, { podRunner }, format] = await Promise.all([
    import('../mesh/doctor/doctor.ts'),
    import('../mesh/doctor/pod-runner.ts'),
    formatOf(flags.output),
  ]);
  const { signal } = new AbortController();
  const report = await doctor(flags, { clock: systemClock, signal, ...(flags.pods ? { runInPod: podRunner(signal) } : {}) });
  print(format(report));
  return report.verdict === 'error' ? 1 : 0;
}

async function formatOf(output: string): Promise<(report: DoctorReport) => string> {
  const text = await findingsForm();
  return answerForm(output, ({ findings }: DoctorReport) => text(findings));
}
