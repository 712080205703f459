/**
 * The first request: checks whether there is an API server, and its version.
 */

import type { Logger } from '../process/log.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import { retry } from '../time/retry.ts';
import type { KubeConnection } from './connection/connection.ts';
import { KubeError } from './errors.ts';
import { KUBE_BACKOFF_MAX_MS, KUBE_BACKOFF_MIN_MS, KUBE_START_TIMEOUT_MS } from './limits.ts';
import { recordOf } from './objects/json.ts';

export interface VersionCheck {
  readonly connection: KubeConnection;
  readonly log: Logger;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Resolves with the server's version (`v1.34.2`). The network of a starting pod may take a while, so
 * what may pass is tried for a minute; then, or at once where it cannot pass, throws the last KubeError.
 */
export async function checkVersion({ connection, log, clock, signal }: VersionCheck): Promise<string> {
  const backoff = new Backoff({ minMs: KUBE_BACKOFF_MIN_MS, maxMs: KUBE_BACKOFF_MAX_MS });
  const deadlineMs = clock.monotonicMs() + KUBE_START_TIMEOUT_MS;
  const onFailure = (thrown: unknown) => {
    const isLate = clock.monotonicMs() > deadlineMs;
    if (isLate || !(thrown instanceof KubeError) || !thrown.retriable) throw thrown;
    log.warn({ code: thrown.code, reason: thrown.message }, 'waiting for the Kubernetes API');
  };
  return retry(() => readVersion(connection, signal), { backoff, clock, signal, onFailure });
}

/** One request. Every client may read the version, so it also checks whether a server is alive. */
export async function readVersion(connection: KubeConnection, signal: AbortSignal, timeoutMs?: number): Promise<string> {
  const answer = await connection.get({
    purpose: { verb: 'get', what: 'the server version' },
    path: '/version',
    accept: 'application/json',
    signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const { gitVersion } = recordOf(answer);
  return typeof gitVersion === 'string' ? gitVersion : '';
}
