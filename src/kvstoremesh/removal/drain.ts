/**
 * Removes the mirrored keys of a cluster whose file was removed.
 *
 * The cluster config is removed first, so that the agents disconnect from the cluster. Its keys stay for a
 * while after that: an agent that sees them disappear first would treat a removed cluster as one whose services
 * are all down. Then everything below the cluster's prefixes is removed, from any writer.
 */

import { asError, errorCode } from '../../shared/errors.ts';
import { clusterConfigKey } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, prefixEnd } from '../../shared/etcd/types.ts';
import { DRAIN_RETRY_MAX_MS, DRAIN_RETRY_MIN_MS, DRAIN_TIMEOUT_MS } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import type { SingleKeys } from '../../shared/publisher/types.ts';
import type { Clock } from '../../shared/time/clock.ts';
import { drainPrefixes } from '../mappings.ts';

/** How long agents have to disconnect, as in the original. */
export const DRAIN_GRACE_MS = 180_000;

export interface DrainOptions {
  readonly cluster: string;
  readonly singles: SingleKeys;
  readonly local: EtcdClient;
  readonly graceMs: number;
  /** Called between the grace period and the removal: the owner of the keys releases them. */
  readonly release: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Resolves when nothing is left; tries until then. Rejects only with the signal's reason: the keys then end with their leases. */
export async function drainCluster(options: DrainOptions): Promise<void> {
  const { cluster, singles, graceMs, release, clock, log, signal } = options;
  await singles.remove(clusterConfigKey(cluster), signal);
  log.info(
    { graceSeconds: graceMs / 1000 },
    'remote cluster removed; its keys are kept until agents have had time to disconnect',
  );
  await clock.sleep(graceMs, signal);
  release();
  let retryMs = DRAIN_RETRY_MIN_MS;
  for (;;) {
    try {
      await removeKeys(options);
      log.info('keys of the removed cluster removed');
      return;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = asError(thrown);
      log.warn(
        { code: errorCode(error), error: error.message, retryMs },
        'cannot remove the keys of the removed cluster; retrying',
      );
      await clock.sleep(retryMs, signal);
      retryMs = Math.min(retryMs * 2, DRAIN_RETRY_MAX_MS);
    }
  }
}

async function removeKeys({ cluster, local, signal }: DrainOptions): Promise<void> {
  for (const prefix of drainPrefixes(cluster)) {
    await local.txn([{ type: 'delete', key: prefix, end: prefixEnd(prefix) }], { signal, timeoutMs: DRAIN_TIMEOUT_MS });
  }
}
