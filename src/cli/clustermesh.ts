/** `clustermesh`: the daemon that exports the own cluster. */
import { apiserverFlagTable } from '../apiserver/flags.ts';
import type { ParsedFlags } from '../shared/flags/parse.ts';
import type { Daemon } from './command/daemon.ts';
import { flagCommand } from './command/flag-command.ts';
import { requireKubernetes } from './command/require-kubernetes.ts';

const NAME = 'clustermesh';

/** The daemon with these flags. Throws FlagError where it cannot run with them. */
export function clustermeshDaemon({ values }: ParsedFlags<typeof apiserverFlagTable>): Daemon {
  requireKubernetes(values, 'this command exports Kubernetes objects');
  return {
    name: NAME,
    metricPrefix: 'cilium_clustermesh_apiserver_',
    async run(runtime) {
      // Loaded here, so that no other command pays for it.
      const { runApiserver } = await import('../apiserver/run.ts');
      await runApiserver(values, runtime);
    },
  };
}

export const clustermesh = flagCommand({
  name: NAME,
  summary: 'Export the services, nodes, identities and endpoints of this cluster to etcd for the other clusters',
  flags: apiserverFlagTable,
  async run(flags) {
    const daemon = clustermeshDaemon(flags);
    const { runDaemon } = await import('./command/daemon.ts');
    return runDaemon(daemon, flags);
  },
});
