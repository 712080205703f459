/** Options of a connection to an API server, as a test needs them. */
import type { ConnectionOptions } from '../../../src/shared/kubernetes/connection/connection.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';

export function connectionOptions(changes: Partial<ConnectionOptions> = {}): ConnectionOptions {
  return {
    kubeconfigPath: '',
    serverUrls: [],
    userAgent: 'test/1',
    connectTimeoutMs: 5_000,
    keepAliveMs: 30_000,
    rate: { perSecond: 0, burst: 1 },
    clock: systemClock,
    log: silentLogger,
    ...changes,
  };
}
