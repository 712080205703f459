/** The shared startup code of the commands that run a daemon, or both. */

import { setFlagsFromString } from 'node:v8';
import { Readiness } from '../../shared/http/health.ts';
import { createRegistry } from '../../shared/http/metrics.ts';
import { SHUTDOWN_TIMEOUT_MS } from '../../shared/limits.ts';
import { type SupervisedDaemon, superviseDaemons } from '../../shared/process/lifecycle.ts';
import { createLogger } from '../../shared/process/log.ts';
import type { Runtime } from '../../shared/process/runtime.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { VERSION } from '../../shared/version.ts';
import { checkDaemonFlags, type DaemonFlags } from './check-daemon-flags.ts';
import { logFormatOf } from './log-format.ts';
import { logStart } from './start-log.ts';

export interface Daemon {
  /** The subcommand; on every line of the log. */
  readonly name: string;
  readonly metricPrefix: string;
  run(runtime: Runtime): Promise<void>;
}

/** A daemon and its flags. */
export interface ConfiguredDaemon {
  readonly daemon: Daemon;
  readonly flags: DaemonFlags;
}

/**
 * V8 lets a small heap become four times as large before it collects what is old. Twice as large takes 50 MB less for the first load of
 * 100,000 keys, and a twentieth more CPU time.
 */
const HEAP_GROWTH = '--heap-growing-percent=100';

/**
 * Runs `daemon` to the end of the process; resolves with the exit status.
 * Throws before anything is started where the flags do not fit together.
 */
export async function runDaemon(daemon: Daemon, flags: DaemonFlags): Promise<number> {
  checkDaemonFlags(flags);
  setFlagsFromString(HEAP_GROWTH);
  const supervised = start({ daemon, flags }, new Readiness());
  return superviseDaemons({ log: supervised.log, shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS }, [supervised]);
}

/**
 * The same for several daemons in one process, which are ready together and end together. Each has its own log fields and
 * metrics. `name` is in the lines about the process. The flags have been checked.
 */
export function runDaemons(name: string, daemons: readonly ConfiguredDaemon[]): Promise<number> {
  setFlagsFromString(HEAP_GROWTH);
  const [first] = daemons;
  const format = logFormatOf(first?.flags.values.logOpt ?? new Map());
  const log = createLogger({ debug: daemons.some(({ flags }) => flags.values.debug), format, base: { daemon: name } });
  const readiness = new Readiness(daemons.length);
  return superviseDaemons(
    { log, shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS },
    daemons.map((each) => start(each, readiness)),
  );
}

function start({ daemon, flags }: ConfiguredDaemon, readiness: Readiness): SupervisedDaemon {
  const { debug, logOpt, clusterName: localCluster } = flags.values;
  const log = createLogger({ debug, format: logFormatOf(logOpt), base: { daemon: daemon.name, localCluster } });
  logStart(log, flags);
  const metrics = createRegistry(daemon.metricPrefix, VERSION);
  return { log, run: (signal) => daemon.run({ log, clock: systemClock, metrics, readiness, signal }) };
}
