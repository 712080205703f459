/**
 * A small request at an interval, because a watch cannot tell a quiet cluster from a dead server.
 *
 * When it finds none, every connection is broken: the watches that hang on them resume elsewhere, or
 * report that they cannot, in seconds instead of the minutes their own silence would take to be odd.
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

/** Whether there was an answer; where there was none everything is connected anew. */
async function beat({ connection, intervalMs, log, signal }: HeartbeatOptions): Promise<boolean> {
  const { server } = connection;
  try {
    await readVersion(connection, signal, intervalMs);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof KubeError)) throw thrown;
    // Any status is a sign of life; what it means is for those to judge who sent a real request.
    if (!(thrown instanceof KubeSilenceError || thrown instanceof KubeUnreachableError)) return true;
    log.warn({ server, code: thrown.code, reason: thrown.message }, 'Kubernetes API heartbeat failed; reconnecting');
    await connection.reset(thrown);
    return false;
  }
}
