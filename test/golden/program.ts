/** The program under test, and another one in its place. */
import { LAUNCHER } from '../support/processes/daemon.ts';

/** The words of a command: those that the environment has in `variable`, separated by spaces, else the launcher's. */
export function programCommand(variable: string, ...words: readonly string[]): readonly string[] {
  const given = process.env[variable];
  if (given === undefined || given === '') return [LAUNCHER, ...words];
  return given.split(' ').filter((word) => word !== '');
}
