/** Errors of the demo itself, as opposed to those of the mesh. */
import { ProgramError } from '../../src/shared/errors.ts';

/** A program that the demo needs is missing. */
export class MissingProgramError extends ProgramError {
  readonly code = 'DEMO_PROGRAM_MISSING';
  readonly retriable = false;
}

/** A process of the mesh ended although it should run. */
export class ProcessEndedError extends ProgramError {
  readonly code = 'DEMO_PROCESS_ENDED';
  readonly retriable = false;
}

/** A condition was not met in time; the message has the last observation. */
export class NotInTimeError extends ProgramError {
  readonly code = 'DEMO_NOT_IN_TIME';
  readonly retriable = false;
}

/** A real cluster holds something that the demo would have to overwrite. */
export class NamespaceTakenError extends ProgramError {
  readonly code = 'DEMO_NAMESPACE_TAKEN';
  readonly retriable = false;
}
