/** Checks between the flags of a daemon, before anything of it is loaded. */
import { parseClusterInfo } from '../../shared/cluster-info.ts';
import { parseKvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import type { ParsedFlags } from '../../shared/flags/parse.ts';
import type { clusterFlags, kvstoreFlags, logFlags } from '../../shared/flags/shared-flags.ts';
import { logFormatOf } from './log-format.ts';

/** The flags that every daemon has, among others. */
export type DaemonFlags = ParsedFlags<typeof clusterFlags & typeof kvstoreFlags & typeof logFlags>;

/** Throws a ProgramError where the flags do not fit together. */
export function checkDaemonFlags({ values }: DaemonFlags): void {
  parseClusterInfo(values);
  parseKvstoreOptions(values.kvstoreOpt);
  logFormatOf(values.logOpt);
}
