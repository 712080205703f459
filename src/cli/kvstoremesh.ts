/** `kvstoremesh`: the daemon that mirrors the other clusters. */
import { kvstoremeshFlagTable } from '../kvstoremesh/flags.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import type { Command } from './command/command.ts';
import { type ConfiguredDaemon, runDaemon } from './command/daemon.ts';
import { commandHelp } from './command/help.ts';

const NAME = 'kvstoremesh';
const SUMMARY = 'Mirror the keys that the other clusters export into the local etcd';

/** The daemon with the flags of `argv`; `help` where they ask for it. Throws FlagError for flags that cannot be used. */
export function configuredKvstoremesh(argv: readonly string[]): ConfiguredDaemon | 'help' {
  const flags = parseFlags(kvstoremeshFlagTable, argv);
  if (flags === 'help') return 'help';
  const run = async (runtime: Runtime) => {
    // Loaded here, so that no other command pays for it.
    const { runKvstoremesh } = await import('../kvstoremesh/run.ts');
    await runKvstoremesh(flags.values, runtime);
  };
  return { daemon: { name: NAME, metricPrefix: 'cilium_kvstoremesh_', run }, flags };
}

export const kvstoremesh: Command = {
  summary: SUMMARY,
  flags: kvstoremeshFlagTable,
  async run(argv) {
    const configured = configuredKvstoremesh(argv);
    if (configured === 'help') {
      process.stdout.write(commandHelp(NAME, SUMMARY, kvstoremeshFlagTable));
      return 0;
    }
    return runDaemon(configured.daemon, configured.flags);
  },
};
