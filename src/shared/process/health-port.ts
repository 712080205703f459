/**
 * The port of the health server: that of the flag, or 9880.
 *
 * Cilium's chart of 1.15 sets the flag for neither daemon of the Pod, and probes neither. The one that comes second leaves
 * the port to the other. A port that the flag names is one that a probe asks, so it has to be free.
 */

import type { Health } from '../http/health.ts';
import { HEALTH_PORT } from '../http/listen-address.ts';
import { type HttpServer, ListenError, type ListenOptions, serveHealth } from '../http/server.ts';
import type { Logger } from './log.ts';

/** Throws ListenError if the port of the flag is not available. Undefined where there is no flag and `preset` is in use. */
export async function serveHealthOn(
  port: number | undefined,
  health: Health,
  { log, ...options }: Omit<ListenOptions, 'address' | 'flag'> & { readonly log: Logger },
  preset = HEALTH_PORT,
): Promise<HttpServer | undefined> {
  const address = { host: undefined, port: port ?? preset };
  try {
    return await serveHealth(health, { ...options, address, flag: 'health-port' });
  } catch (thrown) {
    if (port !== undefined || !isInUse(thrown)) throw thrown;
    log.warn({ port: preset }, 'no health server: --health-port is not set, and another process uses the port');
    return undefined;
  }
}

function isInUse(thrown: unknown): boolean {
  return thrown instanceof ListenError && (thrown.cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
}
