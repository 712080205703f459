/** `etcdinit`: prepares the data directory of the local etcd, once, before etcd starts. */
import { constants } from 'node:os';
import { EtcdinitError } from '../etcdinit/errors.ts';
import { etcdinitFlagTable } from '../etcdinit/flags.ts';
import { systemClock } from '../shared/clock.ts';
import { asError, ProgramError } from '../shared/errors.ts';
import { FlagError } from '../shared/flags/error.ts';
import { parseFlags } from '../shared/flags/parse.ts';
import { EXIT_FAILURE } from '../shared/lifecycle.ts';
import { createLogger, type Logger } from '../shared/log.ts';
import { VERSION } from '../shared/version.ts';
import type { Command } from './command.ts';
import { commandHelp } from './help.ts';

const NAME = 'etcdinit';
const SUMMARY = 'Prepare the data directory of the local etcd: users, roles, and authentication enabled';

export const etcdinit: Command = {
  summary: SUMMARY,
  flags: etcdinitFlagTable,
  async run(argv) {
    const flags = parseFlags(etcdinitFlagTable, argv);
    if (flags === 'help') {
      process.stdout.write(commandHelp(NAME, SUMMARY, etcdinitFlagTable));
      return 0;
    }
    const log = createLogger({ debug: flags.values.debug, base: { command: NAME, localCluster: flags.values.clusterName } });
    log.info({ ...VERSION, node: process.versions.node, flags: flags.effective }, 'starting');
    // Loaded here, so that no other command pays for it.
    const { runEtcdinit } = await import('../etcdinit/run.ts');
    return untilSignalled(log, (signal) => runEtcdinit(flags.values, { log, clock: systemClock, signal }));
  },
};

/** Resolves with the exit status: that of the error, or of the signal as a shell has it. A second signal does not wait. */
async function untilSignalled(log: Logger, task: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const stop = new AbortController();
  let status = 0;
  const onSignal = (name: NodeJS.Signals) => {
    if (status !== 0) process.exit(status);
    status = 128 + constants.signals[name];
    log.info({ signal: name }, 'stopping; nothing of the data directory is of use now');
    stop.abort(new Error(`stopped by ${name}`));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    await task(stop.signal);
    return 0;
  } catch (thrown) {
    if (thrown instanceof FlagError) throw thrown;
    if (thrown === stop.signal.reason) return status;
    const error = asError(thrown);
    if (error instanceof ProgramError) log.fatal({ code: error.code }, error.message);
    else log.fatal({ err: error }, error.message);
    return error instanceof EtcdinitError ? error.status : EXIT_FAILURE;
  }
}
