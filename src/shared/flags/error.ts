/** A command line, an environment variable or an option that cannot be used. */
import { ProgramError } from '../errors.ts';

/** The message contains the flag, the problem and the allowed values; one line. */
export class FlagError extends ProgramError {
  readonly code = 'FLAG_INVALID';
  readonly retriable = false;
}
