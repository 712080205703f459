/** Connections to an API server, as a test needs them. */
import { type ConnectionOptions, openConnection } from '../../../src/shared/kubernetes/connection/connection.ts';
import { readVersion } from '../../../src/shared/kubernetes/version.ts';
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

/** The version that the server says it has, over a connection of its own. */
export async function askVersion(changes: Partial<ConnectionOptions>): Promise<string> {
  const connection = await openConnection(connectionOptions(changes));
  try {
    return await readVersion(connection, new AbortController().signal);
  } finally {
    await connection.close();
  }
}
