/**
 * The life of the process: from its start to its exit status.
 *
 * SIGTERM and SIGINT request a clean stop, which has a deadline; a second signal does not wait. An uncaught
 * error ends the process too: its state is unknown.
 */
import { constants } from 'node:os';
import { asError, isAbort, ProgramError } from '../errors.ts';
import { systemClock } from '../time/clock.ts';
import type { Logger } from './log.ts';

/** The status of every failure, as in the original. */
export const EXIT_FAILURE = 255;

/** The deadline of a stop holds to the end of the process. */
const NEVER = new AbortController().signal;

export interface LifecycleOptions {
  readonly log: Logger;
  /** From the signal to the forced end. */
  readonly shutdownTimeoutMs: number;
}

/**
 * Runs `daemon` until it ends or a signal arrives, which aborts its signal.
 *
 * Resolves with the exit status: 0 after a clean stop, EXIT_FAILURE if the daemon rejected or
 * ended unexpectedly; the reason has been logged. A stop that takes too long, a second signal and an
 * uncaught error exit the process directly.
 */
export async function superviseDaemon(
  options: LifecycleOptions,
  daemon: (signal: AbortSignal) => Promise<void>,
): Promise<number> {
  const { log, shutdownTimeoutMs } = options;
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) {
      log.warn({ signal: name }, 'second signal; exiting immediately');
      process.exit(128 + constants.signals[name]);
    }
    log.info({ signal: name }, 'stopping');
    void systemClock.sleep(shutdownTimeoutMs, NEVER).then(() => {
      log.error({ shutdownTimeoutMs }, 'shutdown timed out; exiting immediately');
      process.exit(EXIT_FAILURE);
    });
    stop.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (thrown: unknown) => {
    logFatal(log, thrown);
    process.exit(EXIT_FAILURE);
  });
  try {
    await daemon(stop.signal);
  } catch (thrown) {
    if (!isAbort(thrown, stop.signal)) {
      logFatal(log, thrown);
      return EXIT_FAILURE;
    }
  }
  if (!stop.signal.aborted) {
    log.fatal('exited unexpectedly');
    return EXIT_FAILURE;
  }
  log.info('stopped');
  return 0;
}

/** One line; with a stack trace only for unexpected errors, to find the bug. */
function logFatal(log: Logger, thrown: unknown): void {
  const error = asError(thrown);
  if (error instanceof ProgramError) log.fatal({ code: error.code }, error.message);
  else log.fatal({ err: error }, error.message);
}
