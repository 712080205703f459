/** `combined`: both daemons in one process, for a Pod that shall use less memory. */
import { apiserverFlagTable } from '../apiserver/flags.ts';
import { kvstoremeshFlagTable } from '../kvstoremesh/flags.ts';
import { ProgramError } from '../shared/errors.ts';
import { FlagError } from '../shared/flags/error.ts';
import { configuredClustermesh } from './clustermesh.ts';
import type { Command } from './command/command.ts';
import { type ConfiguredDaemon, checkDaemonFlags, runDaemons } from './command/daemon.ts';
import { combinedHelp } from './command/help.ts';
import { configuredKvstoremesh } from './kvstoremesh.ts';

const NAME = 'combined';
const SUMMARY = 'Run clustermesh and kvstoremesh in one process';
const SEPARATOR = '--';

const DAEMONS = [
  ['clustermesh', configuredClustermesh],
  ['kvstoremesh', configuredKvstoremesh],
] as const;

export const combined: Command = {
  summary: SUMMARY,
  flags: apiserverFlagTable,
  furtherFlags: kvstoremeshFlagTable,
  async run(argv) {
    const at = argv.indexOf(SEPARATOR);
    const lists = at < 0 ? [argv] : [argv.slice(0, at), argv.slice(at + 1)];
    const daemons: ConfiguredDaemon[] = [];
    for (const [index, [name, configure]] of DAEMONS.entries()) {
      const list = lists[index];
      if (list === undefined) throw new FlagError(`the flags of ${name} are missing; put them behind ${SEPARATOR}`);
      const daemon = ofDaemon(name, () => configured(configure, list));
      if (daemon === 'help') {
        process.stdout.write(
          combinedHelp(
            NAME,
            SUMMARY,
            DAEMONS.map(([each]) => each),
          ),
        );
        return 0;
      }
      daemons.push(daemon);
    }
    return runDaemons(NAME, daemons);
  },
};

function configured(
  configure: (argv: readonly string[]) => ConfiguredDaemon | 'help',
  argv: readonly string[],
): ConfiguredDaemon | 'help' {
  const daemon = configure(argv);
  if (daemon !== 'help') checkDaemonFlags(daemon.flags);
  return daemon;
}

/** Both daemons have flags of the same names: an error says whose it is. */
function ofDaemon<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof ProgramError)) throw thrown;
    throw new FlagError(`${name}: ${thrown.message}`, { cause: thrown });
  }
}
