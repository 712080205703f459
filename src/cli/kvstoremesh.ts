/** `kvstoremesh`: the daemon that mirrors the other clusters. */
import { kvstoremeshFlagTable } from '../kvstoremesh/flags.ts';
import type { ParsedFlags } from '../shared/flags/parse.ts';
import type { Daemon } from './command/daemon.ts';
import { flagCommand } from './command/flag-command.ts';

const NAME = 'kvstoremesh';

/** The daemon with these flags. */
export function kvstoremeshDaemon({ values }: ParsedFlags<typeof kvstoremeshFlagTable>): Daemon {
  return {
    name: NAME,
    metricPrefix: 'cilium_kvstoremesh_',
    async run(runtime) {
      // Loaded here, so that no other command pays for it.
      const { runKvstoremesh } = await import('../kvstoremesh/run.ts');
      await runKvstoremesh(values, runtime);
    },
  };
}

export const kvstoremesh = flagCommand({
  name: NAME,
  summary: 'Mirror the keys that the other clusters export into the local etcd',
  flags: kvstoremeshFlagTable,
  async run(flags) {
    const { runDaemon } = await import('./command/daemon.ts');
    return runDaemon(kvstoremeshDaemon(flags), flags);
  },
});
