/** A task that ends by itself, or earlier by a signal, for commands that are no daemons. */
import { constants } from 'node:os';
import { asError, ProgramError } from '../../shared/errors.ts';
import { FlagError } from '../../shared/flags/error.ts';
import { EXIT_FAILURE } from '../../shared/process/lifecycle.ts';
import type { Logger } from '../../shared/process/log.ts';

export interface SignalledTask {
  readonly log: Logger;
  /** Logged when a signal has come. */
  readonly stopping: string;
  /** The exit status of an error; EXIT_FAILURE where absent. */
  readonly statusOf?: (error: Error) => number;
}

/** Resolves with the exit status: that of the error, or of the signal as a shell has it. A second signal does not wait. */
export async function untilSignalled(options: SignalledTask, task: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const { log, stopping, statusOf = () => EXIT_FAILURE } = options;
  const stop = new AbortController();
  let status = 0;
  const onSignal = (name: NodeJS.Signals) => {
    if (status !== 0) process.exit(status);
    status = 128 + constants.signals[name];
    log.info({ signal: name }, stopping);
    stop.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    await task(stop.signal);
    return 0;
  } catch (thrown) {
    if (thrown instanceof FlagError) throw thrown;
    if (thrown === stop.signal.reason) return status;
    const error = asError(thrown);
    if (error instanceof ProgramError) log.fatal({ code: error.code }, error.message);
    else log.fatal({ err: error }, error.message);
    return statusOf(error);
  }
}
