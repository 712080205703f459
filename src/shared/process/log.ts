/**
 * Logging: one JSON object or text line per change of state.
 *
 * Fields, not prose: cluster, prefix, revision and code are fields. Values, tokens and key material
 * are never passed to a logger. Repeated lines are suppressed and counted: a remote with ten thousand
 * bad keys, or one that flaps, does not hide other lines.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { LOG_WINDOW_MS, MAX_LOG_CAUSES, MAX_LOG_LINES_PER_CAUSE } from '../limits.ts';
import { textOfLine } from './text-log.ts';

export type Logger = PinoLogger;

export type LogFormat = 'json' | 'text';

export interface LogOptions {
  readonly debug: boolean;
  /** JSON where absent. */
  readonly format?: LogFormat;
  /** Fields of every line, such as the daemon and the cluster name. */
  readonly base: Readonly<Record<string, unknown>>;
  /** Standard error where absent, so that a command's output stays clean. */
  readonly destination?: DestinationStream;
}

/**
 * The root logger of a process. Of lines with the same message about the same cluster MAX_LOG_LINES_PER_CAUSE are written per
 * minute; the number of suppressed lines is logged when the minute is over, or the process
 * ends. Lines of level `debug` are never suppressed.
 */
export function createLogger(options: LogOptions): Logger {
  const limiter = new LineLimiter();
  const destination = options.destination ?? pino.destination({ fd: 2, sync: true });
  const log = pino(
    {
      level: options.debug ? 'debug' : 'info',
      base: options.base,
      messageKey: 'msg',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        logMethod(args, method, level) {
          if (level <= DEBUG || limiter.admits(this, args)) method.apply(this, args);
        },
      },
    },
    options.format === 'text' ? { write: (line) => destination.write(`${textOfLine(line)}\n`) } : destination,
  );
  if (options.destination === undefined) process.once('exit', () => limiter.tell());
  return log;
}

/** A logger without output. */
export const silentLogger: Logger = pino({ level: 'silent' });

const DEBUG = pino.levels.values.debug ?? 0;

interface Cause {
  readonly log: Logger;
  readonly message: string;
  lines: number;
}

class LineLimiter {
  /** Of the present window, by message and the fields of the logger. */
  readonly #causes = new Map<string, Cause>();
  #window: NodeJS.Timeout | undefined;

  /** Whether the line may be written; it is counted. */
  admits(log: Logger, args: readonly unknown[]): boolean {
    const message = String(args.find((each) => typeof each === 'string'));
    const id = `${message}\n${clusterOf(args[0])}\n${fieldsOf(log)}`;
    const cause = this.#causes.get(id) ?? { log, message, lines: 0 };
    if (cause.lines === 0) {
      if (this.#causes.size >= MAX_LOG_CAUSES) this.tell();
      this.#causes.set(id, cause);
      this.#window ??= setTimeout(() => this.tell(), LOG_WINDOW_MS).unref();
    }
    cause.lines += 1;
    return cause.lines <= MAX_LOG_LINES_PER_CAUSE;
  }

  /** Ends the window and logs the number of suppressed lines. */
  tell(): void {
    clearTimeout(this.#window);
    this.#window = undefined;
    const causes = [...this.#causes.values()];
    this.#causes.clear();
    for (const { log, message, lines } of causes) {
      const leftOut = lines - MAX_LOG_LINES_PER_CAUSE;
      if (leftOut > 0) log.warn({ leftOut, of: message }, 'repeated log lines suppressed');
    }
  }
}

/** The cluster that a line of a logger of no cluster is about. */
function clusterOf(fields: unknown): string {
  return typeof fields === 'object' && fields !== null && 'cluster' in fields ? String(fields.cluster) : '';
}

/** The fields of a child logger, as it writes them. */
function fieldsOf(log: Logger): string {
  return String((log as unknown as Record<symbol, unknown>)[pino.symbols.chindingsSym]);
}
