/** `clustermesh`: the daemon that exports the own cluster. */
import { apiserverFlagTable } from '../apiserver/flags.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import type { Runtime } from '../shared/process/runtime.ts';
import type { Command } from './command/command.ts';
import { type ConfiguredDaemon, runDaemon } from './command/daemon.ts';
import { commandHelp } from './command/help.ts';
import { requireKubernetes } from './command/require-kubernetes.ts';

const NAME = 'clustermesh';
const SUMMARY = 'Export the services, nodes, identities and endpoints of this cluster to etcd for the other clusters';

/** The daemon with the flags of `argv`; `help` where they ask for it. Throws FlagError for flags that cannot be used. */
export function configuredClustermesh(argv: readonly string[]): ConfiguredDaemon | 'help' {
  const flags = parseFlags(apiserverFlagTable, argv);
  if (flags === 'help') return 'help';
  requireKubernetes(flags.values, 'this command exports Kubernetes objects');
  const run = async (runtime: Runtime) => {
    // Loaded here, so that no other command pays for it.
    const { runApiserver } = await import('../apiserver/run.ts');
    await runApiserver(flags.values, runtime);
  };
  return { daemon: { name: NAME, metricPrefix: 'cilium_clustermesh_apiserver_', run }, flags };
}

export const clustermesh: Command = {
  summary: SUMMARY,
  flags: apiserverFlagTable,
  async run(argv) {
    const configured = configuredClustermesh(argv);
    if (configured === 'help') {
      process.stdout.write(commandHelp(NAME, SUMMARY, apiserverFlagTable));
      return 0;
    }
    return runDaemon(configured.daemon, configured.flags);
  },
};
