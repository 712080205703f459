/** A log that a test reads. */
import type { Logger } from '../../src/shared/process/log.ts';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly code?: string;
  readonly reason?: string;
  /** Of the object it is about. */
  readonly name?: string;
}

/** A logger whose lines are kept. */
export function recordingLogger(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at = (level: string) => (fields: object | string, msg?: string) => {
    lines.push(typeof fields === 'string' ? { level, msg: fields } : { ...fields, level, msg: msg ?? '' });
  };
  const log = { debug: () => undefined, info: at('info'), warn: at('warn'), error: at('error'), child: () => log };
  return { log: log as unknown as Logger, lines };
}
