/**
 * `cilium/.has-cluster-config`, for agents of Cilium 1.15 and older: where it exists, they wait for the cluster configuration
 * of a remote cluster; without it they take an etcd that has none yet for that of an old release, and an empty mirror for a
 * complete one. They ignore its value, which has always been `true`.
 *
 * Their own etcdinit wrote it, without a lease, before any agent could connect; ours does the same. The daemons write it
 * where it is missing, since etcd may have been prepared by another etcdinit, or come back empty. Later agents never read it.
 */
import { once } from 'node:events';
import { errorCode } from '../errors.ts';
import { HAS_CLUSTER_CONFIG_KEY } from '../etcd/keyspace.ts';
import { type EtcdClient, type KeyValue, NO_LEASE, type Revision } from '../etcd/types.ts';
import { PUBLISH_BACKOFF_MAX_MS, PUBLISH_BACKOFF_MIN_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import { Backoff } from '../time/backoff.ts';
import type { Clock } from '../time/clock.ts';
import type { SingleKeys } from './types.ts';

export const CLUSTER_CONFIG_MARKER = { key: HAS_CLUSTER_CONFIG_KEY, value: Buffer.from('true') };

export interface ClusterConfigMarkerOptions {
  readonly singles: SingleKeys;
  readonly client: EtcdClient;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Has the key exist until the signal is aborted, then rejects with its reason or resolves. One that hangs on no lease is left as
 * it is, for it outlives the daemons; any other is put and kept as the cluster configuration is.
 */
export async function holdClusterConfigMarker(options: ClusterConfigMarkerOptions, signal: AbortSignal): Promise<void> {
  const { singles, client, clock, log } = options;
  const { key, value } = CLUSTER_CONFIG_MARKER;
  const backoff = new Backoff({ minMs: PUBLISH_BACKOFF_MIN_MS, maxMs: PUBLISH_BACKOFF_MAX_MS });
  while (!signal.aborted) {
    try {
      const found = await client.get(key, { signal });
      backoff.reset();
      if (found?.lease === NO_LEASE) {
        await untilDeleted(client, found, signal);
        continue;
      }
    } catch (thrown) {
      signal.throwIfAborted();
      // The publisher reports an etcd that is unreachable or replaced.
      log.debug({ code: errorCode(thrown), key }, 'cannot read a key; retrying');
      await clock.sleep(backoff.nextMs(), signal);
      continue;
    }
    await singles.put(key, value, signal);
    if (!signal.aborted) await once(signal, 'abort');
  }
}

/** Until the key is gone, or may be. */
async function untilDeleted(client: EtcdClient, { key, modRevision }: KeyValue, signal: AbortSignal): Promise<void> {
  const from = (modRevision + 1) as Revision;
  for await (const batch of client.watch(key, { signal, from, exact: true, deletesOnly: true }))
    if (batch.kind !== 'progress') return;
}
