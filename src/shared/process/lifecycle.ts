/**
 * The life of the process: from its start to its exit status.
 *
 * SIGTERM and SIGINT ask for a clean stop, which has a deadline; a second one does not wait. Whatever is
 * thrown and caught by nobody ends the process too: it is in a state nobody has thought of.
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
 * Runs `daemon` until it ends by itself or a signal asks it to; its signal is aborted then.
 *
 * Resolves with the exit status: 0 after a clean stop, EXIT_FAILURE where the daemon rejected or
 * ended unasked; the reason has been logged. A stop that takes too long, a second signal and an
 * uncaught error end the process from within.
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

/** One line; with a stack only where the error is none of ours, so that somebody can find the mistake. */
function logFatal(log: Logger, thrown: unknown): void {
  const error = asError(thrown);
  if (error instanceof ProgramError) log.fatal({ code: error.code }, error.message);
  else log.fatal({ err: error }, error.message);
}
