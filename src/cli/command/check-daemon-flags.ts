/** Checks between the flags of a daemon, before anything of it is loaded. */
import { parseClusterInfo } from '../../shared/cluster-info.ts';
import { parseKvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import type { DaemonFlags } from './daemon.ts';
import { logFormatOf } from './log-format.ts';

/** Throws a ProgramError where the flags do not fit together. */
export function checkDaemonFlags({ values }: DaemonFlags): void {
  parseClusterInfo(values);
  parseKvstoreOptions(values.kvstoreOpt);
  logFormatOf(values.logOpt);
}
