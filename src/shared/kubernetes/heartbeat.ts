/**
 * A small periodic request, because a watch cannot distinguish a quiet cluster from a dead server.
 *
 * If it fails, every connection is closed: the watches on them resume elsewhere, or fail
 * within seconds instead of the minutes until their own silence is detected.
 */

import { isAbort } from '../errors.ts';
import type { Logger } from '../process/log.ts';
import type { Clock } from '../time/clock.ts';
import type { KubeConnection } from './connection/connection.ts';
import { KubeError, KubeSilenceError, KubeUnreachableError } from './errors.ts';
import { readVersion } from './version.ts';

export interface HeartbeatOptions {
  readonly connection: KubeConnection;
  /** Between two beats, and how long an answer may take. 0 for no heartbeat. */
  readonly intervalMs: number;
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called after each beat with whether it was answered. */
  readonly onBeat?: ((answered: boolean) => void) | undefined;
}

/** Runs until the signal is aborted, then resolves. */
export async function runHeartbeat(options: HeartbeatOptions): Promise<void> {
  const { intervalMs, clock, signal, onBeat } = options;
  if (intervalMs <= 0) return;
  try {
    for (;;) {
      await clock.sleep(intervalMs, signal);
      onBeat?.(await beat(options));
    }
  } catch (thrown) {
    if (!isAbort(thrown, signal)) throw thrown;
  }
}

/** Whether there was a response; without one all connections are closed. */
async function beat({ connection, intervalMs, log, signal }: HeartbeatOptions): Promise<boolean> {
  const { server } = connection;
  try {
    await readVersion(connection, signal, intervalMs);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof KubeError)) throw thrown;
    // Any status proves that the server is alive.
    if (!(thrown instanceof KubeSilenceError || thrown instanceof KubeUnreachableError)) return true;
    log.warn({ server, code: thrown.code, reason: thrown.message }, 'Kubernetes API heartbeat failed; reconnecting');
    await connection.reset(thrown);
    return false;
  }
}
