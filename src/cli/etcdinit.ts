/** `etcdinit`: prepares the data directory of the local etcd, once, before etcd starts. */
import { EtcdinitError } from '../etcdinit/errors.ts';
import { etcdinitFlagTable } from '../etcdinit/flags.ts';
import { EXIT_FAILURE } from '../shared/process/lifecycle.ts';
import { systemClock } from '../shared/time/clock.ts';
import { flagCommand } from './command/flag-command.ts';
import { logFormatOf } from './command/log-format.ts';
import { logStart } from './command/start-log.ts';
import { untilSignalled } from './command/until-signalled.ts';

const NAME = 'etcdinit';

export const etcdinit = flagCommand({
  name: NAME,
  summary: 'Initialize the data directory of the local etcd: users, roles and authentication',
  flags: etcdinitFlagTable,
  async run(flags) {
    const { debug, logOpt, clusterName: localCluster } = flags.values;
    const { createLogger } = await import('../shared/process/log.ts');
    const log = createLogger({ debug, format: logFormatOf(logOpt), base: { command: NAME, localCluster } });
    logStart(log, flags);
    // Loaded here, so that no other command pays for it.
    const { runEtcdinit } = await import('../etcdinit/run.ts');
    const stopping = 'stopping; the data directory is incomplete and must not be used';
    const statusOf = (error: Error) => (error instanceof EtcdinitError ? error.status : EXIT_FAILURE);
    return untilSignalled({ log, stopping, statusOf }, (signal) =>
      runEtcdinit(flags.values, { log, clock: systemClock, signal }),
    );
  },
});
