/** The steps of a command, each in its own process, and their tally. */
import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** A name, and a command line whose first word may be a program of the installed packages. */
export type Step = readonly [name: string, ...command: string[]];

/** Runs the step in the root of the project; true where it ended with status 0. */
export function runStep([name, program = '', ...args]: Step): boolean {
  process.stdout.write(`\n== ${name}\n`);
  const env = { ...process.env, PATH: [join(ROOT, 'node_modules/.bin'), process.env.PATH].join(delimiter) };
  const { status, error } = spawnSync(program, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (error !== undefined) process.stdout.write(`${program}: ${error.message}\n`);
  if (status !== 0) process.stdout.write(`== ${name} failed\n`);
  return status === 0;
}

/** Runs all steps, even after a failure, and counts. */
export function runSteps(steps: readonly Step[], tally: Tally): void {
  for (const step of steps) tally[runStep(step) ? 'passed' : 'failed'] += 1;
}

/** The last line of a command; resolves to its exit status. */
export function conclude({ passed, failed, skipped }: Tally): number {
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed === 0 ? 0 : 1;
}
