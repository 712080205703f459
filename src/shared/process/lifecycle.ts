/**
 * The life of the process: from its start to its exit status. It runs one daemon or several.
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
  /** For what concerns the process. */
  readonly log: Logger;
  /** From the signal to the forced end. */
  readonly shutdownTimeoutMs: number;
}

export interface SupervisedDaemon {
  /** For the reason of its end. */
  readonly log: Logger;
  /** Runs until the signal is aborted. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Runs `daemons` until a signal arrives or one of them ends: then the signal of all is aborted.
 *
 * Resolves with the exit status when all have ended: 0 after a clean stop, EXIT_FAILURE if a daemon rejected or
 * ended unexpectedly; the reason has been logged. A stop that takes too long, a second signal and an
 * uncaught error exit the process directly.
 */
export async function superviseDaemons(options: LifecycleOptions, daemons: readonly SupervisedDaemon[]): Promise<number> {
  const { log, shutdownTimeoutMs } = options;
  const stop = new AbortController();
  const stopAll = (reason: Error) => {
    void systemClock.sleep(shutdownTimeoutMs, NEVER).then(() => {
      log.error({ shutdownTimeoutMs }, 'shutdown timed out; exiting immediately');
      process.exit(EXIT_FAILURE);
    });
    stop.abort(reason);
  };
  const onSignal = (name: NodeJS.Signals) => {
    if (stop.signal.aborted) {
      log.warn({ signal: name }, 'second signal; exiting immediately');
      process.exit(128 + constants.signals[name]);
    }
    log.info({ signal: name }, 'stopping');
    stopAll(new Error(`stopped by ${name}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (thrown: unknown) => {
    logFatal(log, thrown);
    process.exit(EXIT_FAILURE);
  });
  const ends = daemons.map(async (daemon) => {
    const hasStopped = await endsCleanly(daemon, stop.signal);
    if (!stop.signal.aborted) stopAll(new Error('another daemon of the process has ended'));
    return hasStopped;
  });
  const isClean = (await Promise.all(ends)).every(Boolean);
  if (isClean) log.info('stopped');
  return isClean ? 0 : EXIT_FAILURE;
}

/** False where it failed, or ended before its signal was aborted; the reason has been logged. */
async function endsCleanly({ log, run }: SupervisedDaemon, signal: AbortSignal): Promise<boolean> {
  try {
    await run(signal);
  } catch (thrown) {
    if (!isAbort(thrown, signal)) {
      logFatal(log, thrown);
      return false;
    }
  }
  if (signal.aborted) return true;
  log.fatal('exited unexpectedly');
  return false;
}

/** One line; with a stack trace only for unexpected errors, to find the bug. */
function logFatal(log: Logger, thrown: unknown): void {
  const error = asError(thrown);
  if (error instanceof ProgramError) log.fatal({ code: error.code }, error.message);
  else log.fatal({ err: error }, error.message);
}
