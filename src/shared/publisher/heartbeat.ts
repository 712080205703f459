/**
 * `cilium/.heartbeat`: the time, rewritten every minute.
 *
 * Readers do not parse it. A change shows them that the store and the connection work; they reconnect after two minutes without one.
 */

import { asError, isAbort } from '../errors.ts';
import { HEARTBEAT_KEY } from '../etcd/keyspace.ts';
import type { Logger } from '../process/log.ts';
import { withDeadline } from '../time/abort.ts';
import { type Clock, rfc3339Seconds } from '../time/clock.ts';
import type { SingleKeys } from './types.ts';

/** Interval of the heartbeat, as in Cilium. */
export const HEARTBEAT_INTERVAL_MS = 60_000;

/** A heartbeat that takes longer has failed; the next one follows. */
const HEARTBEAT_TIMEOUT_MS = 25_000;

/**
 * Writes the heartbeat at once and then every minute until `signal` is aborted, then resolves. A write that
 * fails or takes too long is logged, once until one succeeds; the next one is still written.
 */
export async function runHeartbeat(singles: SingleKeys, clock: Clock, log: Logger, signal: AbortSignal): Promise<void> {
  let isFailing = false;
  while (!signal.aborted) {
    const startMs = clock.monotonicMs();
    try {
      await beat(singles, clock, signal);
      if (isFailing) log.info('heartbeat written again');
      isFailing = false;
    } catch (thrown) {
      if (isAbort(thrown, signal)) return;
      if (!isFailing) log.warn({ error: asError(thrown).message }, 'cannot write the heartbeat; readers will reconnect');
      isFailing = true;
    }
    const restMs = Math.max(0, HEARTBEAT_INTERVAL_MS - (clock.monotonicMs() - startMs));
    await clock.sleep(restMs, signal).catch(() => undefined);
  }
}

async function beat(singles: SingleKeys, clock: Clock, signal: AbortSignal): Promise<void> {
  const late = () => new Error(`not confirmed within ${HEARTBEAT_TIMEOUT_MS / 1000} s`);
  const write = (limit: AbortSignal) => singles.put(HEARTBEAT_KEY, Buffer.from(rfc3339Seconds(clock.nowMs())), limit);
  await withDeadline(write, { ms: HEARTBEAT_TIMEOUT_MS, late, clock, signal });
}
