/** `etcdinit` for members of a replicated etcd with an address instead of a host name: a file lists those of Pods that do not exist. */
import { readFileSync } from 'node:fs';
import { untilSignalled } from '../../src/cli/command/until-signalled.ts';
import { EtcdinitError } from '../../src/etcdinit/errors.ts';
import { etcdinitFlagTable } from '../../src/etcdinit/flags.ts';
import { runEtcdinit } from '../../src/etcdinit/run.ts';
import { parseFlags } from '../../src/shared/flags/parse.ts';
import { createLogger } from '../../src/shared/process/log.ts';
import { systemClock } from '../../src/shared/time/clock.ts';

const [absentFile = '', ...argv] = process.argv.slice(2);
const flags = parseFlags(etcdinitFlagTable, argv);
if (flags === 'help') throw new Error('help was not requested');

/** As the system's resolver answers for a name that does not exist. */
const resolve = async (host: string): Promise<readonly string[]> => {
  const absent = JSON.parse(readFileSync(absentFile, 'utf8')) as readonly string[];
  if (absent.includes(host)) throw Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
  return [host];
};

const log = createLogger({ debug: flags.values.debug, base: {} });
const statusOf = (error: Error) => (error instanceof EtcdinitError ? error.status : 255);
process.exitCode = await untilSignalled({ log, stopping: 'stopping', statusOf }, (signal) =>
  runEtcdinit(flags.values, { log, clock: systemClock, signal, resolve }),
);
