/** SIGINT and SIGTERM as a signal, for commands that end without a line of a log. */

import { ProgramError } from '../errors.ts';

/** The process received SIGINT or SIGTERM. */
class InterruptedError extends ProgramError {
  readonly code = 'INTERRUPTED';
  readonly retriable = false;
}

let controller: AbortController | undefined;

/** Aborted by the first of the two; a second one ends the process. Always the same signal. */
export function interruption(): AbortSignal {
  if (controller === undefined) {
    const created = new AbortController();
    controller = created;
    for (const name of ['SIGINT', 'SIGTERM'] as const)
      process.once(name, () => created.abort(new InterruptedError(`interrupted by ${name}`)));
  }
  return controller.signal;
}
