/** What ends a term or a candidacy. */
import { ProgramError } from '../errors.ts';

/** This replica does not lead (any more), or has lost its place in the queue of those that wait to. */
export class LockLostError extends ProgramError {
  readonly code = 'LOCK_LOST';
  readonly retriable = true;

  constructor(reason: string) {
    super(`leader lock lost: ${reason}`);
  }
}
