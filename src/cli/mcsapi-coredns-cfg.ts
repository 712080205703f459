/** `mcsapi-coredns-cfg`: makes CoreDNS answer for the services of all clusters, once. */
import { corednsFlagTable } from '../mcsapi-coredns-cfg/flags.ts';
import { taskCommand } from './command/flag-command.ts';
import { requireKubernetes } from './command/require-kubernetes.ts';

export const mcsapiCorednsCfg = taskCommand({
  name: 'mcsapi-coredns-cfg',
  summary: 'Configure CoreDNS for the MCS API: the clusterset domain and the multicluster option',
  flags: corednsFlagTable,
  stopping: 'stopping; run the command again to complete the configuration',
  check: (flags) => requireKubernetes(flags, 'this command configures CoreDNS in Kubernetes'),
  async task(flags, surroundings) {
    // Loaded here, so that no other command pays for it.
    const { configureCoredns } = await import('../mcsapi-coredns-cfg/run.ts');
    await configureCoredns(flags, surroundings);
  },
});
