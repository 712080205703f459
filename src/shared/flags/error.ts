/** A command line, an environment variable or an option that cannot be used. */
import { ProgramError } from '../errors.ts';

/** The message names the culprit, says why it is refused and what is allowed; one line. */
export class FlagError extends ProgramError {
  readonly code = 'FLAG_INVALID';
  readonly retriable = false;
}
