/** `mcsapi-coredns-cfg`: makes CoreDNS answer for the services of all clusters, once. */
import { corednsFlagTable } from '../mcsapi-coredns-cfg/flags.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import { createLogger } from '../shared/process/log.ts';
import { systemClock } from '../shared/time/clock.ts';
import type { Command } from './command/command.ts';
import { commandHelp } from './command/help.ts';
import { requireKubernetes } from './command/require-kubernetes.ts';
import { logStart } from './command/start-log.ts';
import { untilSignalled } from './command/until-signalled.ts';

const NAME = 'mcsapi-coredns-cfg';
const SUMMARY = 'Configure CoreDNS for the MCS API: the clusterset domain and the multicluster option';

export const mcsapiCorednsCfg: Command = {
  summary: SUMMARY,
  flags: corednsFlagTable,
  async run(argv) {
    const flags = parseFlags(corednsFlagTable, argv);
    if (flags === 'help') {
      process.stdout.write(commandHelp(NAME, SUMMARY, corednsFlagTable));
      return 0;
    }
    requireKubernetes(flags.values, 'this command configures CoreDNS in Kubernetes');
    const log = createLogger({ debug: flags.values.debug, base: { command: NAME } });
    logStart(log, flags);
    // Loaded here, so that no other command pays for it.
    const { configureCoredns } = await import('../mcsapi-coredns-cfg/run.ts');
    const task = (signal: AbortSignal) => configureCoredns(flags.values, { log, clock: systemClock, signal });
    return untilSignalled({ log, stopping: 'stopping; run the command again to complete the configuration' }, task);
  },
};
