/** `combined`: both daemons in one process, for a Pod that shall use less memory. */
import { apiserverFlagTable } from '../apiserver/flags.ts';
import { kvstoremeshFlagTable } from '../kvstoremesh/flags.ts';
import { ProgramError } from '../shared/errors.ts';
import { FlagError } from '../shared/flags/error.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import { clustermeshDaemon } from './clustermesh.ts';
import { checkDaemonFlags, type DaemonFlags } from './command/check-daemon-flags.ts';
import type { Command } from './command/command.ts';
import type { ConfiguredDaemon, Daemon } from './command/daemon.ts';
import { combinedHelp } from './command/help.ts';
import { kvstoremeshDaemon } from './kvstoremesh.ts';

const NAME = 'combined';
const SUMMARY = 'Run clustermesh and kvstoremesh in one process';
const SEPARATOR = '--';

const DAEMONS = [
  ['clustermesh', (argv: readonly string[]) => configured(parseFlags(apiserverFlagTable, argv), clustermeshDaemon)],
  ['kvstoremesh', (argv: readonly string[]) => configured(parseFlags(kvstoremeshFlagTable, argv), kvstoremeshDaemon)],
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
      const daemon = ofDaemon(name, () => configure(list));
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
    const { runDaemons } = await import('./command/daemon.ts');
    return runDaemons(NAME, daemons);
  },
};

/** The daemon with its flags; `help` where they ask for it. Throws a ProgramError for flags that do not fit together. */
function configured<Flags extends DaemonFlags>(
  flags: Flags | 'help',
  daemonOf: (flags: Flags) => Daemon,
): ConfiguredDaemon | 'help' {
  if (flags === 'help') return 'help';
  const daemon = daemonOf(flags);
  checkDaemonFlags(flags);
  return { daemon, flags };
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
