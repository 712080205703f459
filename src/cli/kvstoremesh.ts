/** `kvstoremesh`: the daemon that mirrors the other clusters. */
import { kvstoremeshFlagTable } from '../kvstoremesh/flags.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import type { Command } from './command/command.ts';
import { runDaemon } from './command/daemon.ts';
import { commandHelp } from './command/help.ts';

const NAME = 'kvstoremesh';
const SUMMARY = 'Mirror the keys that the other clusters export into the local etcd';

export const kvstoremesh: Command = {
  summary: SUMMARY,
  flags: kvstoremeshFlagTable,
  async run(argv) {
    const flags = parseFlags(kvstoremeshFlagTable, argv);
    if (flags === 'help') {
      process.stdout.write(commandHelp(NAME, SUMMARY, kvstoremeshFlagTable));
      return 0;
    }
    const run = async (runtime: Runtime) => {
      // Loaded here, so that no other command pays for it.
      const { runKvstoremesh } = await import('../kvstoremesh/run.ts');
      await runKvstoremesh(flags.values, runtime);
    };
    return runDaemon({ name: NAME, metricPrefix: 'cilium_kvstoremesh_', run }, flags);
  },
};
