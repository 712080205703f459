/** The format of the log, from `--log-opt`. */
import { FlagError } from '../../shared/flags/error.ts';
import { quoted } from '../../shared/flags/kinds.ts';
import type { LogFormat } from '../../shared/process/log.ts';

/** The names of the original; each line here has its time. */
const FORMATS: ReadonlyMap<string, LogFormat> = new Map([
  ['json', 'json'],
  ['json-ts', 'json'],
  ['text', 'text'],
  ['text-ts', 'text'],
]);

/** JSON where the options name no format. Throws FlagError for an unknown one. */
export function logFormatOf(options: ReadonlyMap<string, string>): LogFormat {
  const name = options.get('format') ?? 'json';
  const format = FORMATS.get(name);
  if (format !== undefined) return format;
  throw new FlagError(`flag --log-opt: format ${quoted(name)} is unknown; allowed: ${[...FORMATS.keys()].join(', ')}`);
}
