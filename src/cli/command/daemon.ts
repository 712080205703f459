/** The shared startup code of the two daemons. */

import { parseClusterInfo } from '../../shared/cluster-info.ts';
import { parseKvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import type { ParsedFlags } from '../../shared/flags/parse.ts';
import type { clusterFlags, kvstoreFlags, logFlags } from '../../shared/flags/shared-flags.ts';
import { createRegistry } from '../../shared/http/metrics.ts';
import { SHUTDOWN_TIMEOUT_MS } from '../../shared/limits.ts';
import { superviseDaemon } from '../../shared/process/lifecycle.ts';
import { createLogger } from '../../shared/process/log.ts';
import type { Runtime } from '../../shared/process/runtime.ts';
import { systemClock } from '../../shared/time/clock.ts';
import { VERSION } from '../../shared/version.ts';
import { logStart } from './start-log.ts';

type DaemonFlags = ParsedFlags<typeof clusterFlags & typeof kvstoreFlags & typeof logFlags>;

export interface Daemon {
  /** The subcommand; on every line of the log. */
  readonly name: string;
  readonly metricPrefix: string;
  run(runtime: Runtime): Promise<void>;
}

/**
 * Runs `daemon` to the end of the process; resolves with the exit status.
 * Throws before anything is started where the flags do not fit together.
 */
export function runDaemon(daemon: Daemon, flags: DaemonFlags): Promise<number> {
  const { name } = parseClusterInfo(flags.values);
  parseKvstoreOptions(flags.values.kvstoreOpt);
  const log = createLogger({ debug: flags.values.debug, base: { daemon: daemon.name, localCluster: name } });
  logStart(log, flags);
  const metrics = createRegistry(daemon.metricPrefix, VERSION);
  return superviseDaemon({ log, shutdownTimeoutMs: SHUTDOWN_TIMEOUT_MS }, (signal) =>
    daemon.run({ log, clock: systemClock, metrics, signal }),
  );
}
