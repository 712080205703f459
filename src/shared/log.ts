/**
 * Logging: one JSON object a line, one line per change of state.
 *
 * Fields, not prose: cluster, prefix, revision and code are fields. Values, tokens and key material
 * are never passed to a logger.
 */
import { type Logger as PinoLogger, pino } from 'pino';

export type Logger = PinoLogger;

export interface LogOptions {
  readonly debug: boolean;
  /** Fields of every line, such as the daemon and the cluster name. */
  readonly base: Readonly<Record<string, unknown>>;
}

/** The root logger of a process. Lines go to standard error, so that a command's output stays clean. */
export function createLogger(options: LogOptions): Logger {
  return pino(
    {
      level: options.debug ? 'debug' : 'info',
      base: options.base,
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** A logger that says nothing. */
export const silentLogger: Logger = pino({ level: 'silent' });
