/** The first log lines of a command: version, flags, and warnings about them. */
import type { ParsedFlags } from '../../shared/flags/parse.ts';
import type { FlagTable } from '../../shared/flags/table.ts';
import type { Logger } from '../../shared/process/log.ts';
import { VERSION } from '../../shared/version.ts';

export function logStart(log: Logger, flags: Pick<ParsedFlags<FlagTable>, 'effective' | 'inert' | 'remarks'>): void {
  log.info({ ...VERSION, node: process.versions.node, flags: flags.effective }, 'starting');
  if (flags.inert.length > 0) log.info({ flags: flags.inert }, 'ignoring flags that have no effect');
  for (const remark of flags.remarks) log.warn(remark);
}
