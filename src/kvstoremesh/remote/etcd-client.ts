/** The client of a remote's etcd, from its file in the configuration directory. */
import { createEtcdClient } from '../../shared/etcd/client.ts';
import { type EtcdConfig, readEtcdConfig } from '../../shared/etcd/config.ts';
import type { DialPacing } from '../../shared/etcd/connection/dial-pacing.ts';
import { clientOptions, type EtcdSurroundings, limiterOf, warnOf } from '../../shared/etcd/local-etcd.ts';
import type { ReceiveBudget } from '../../shared/etcd/wire/receive-budget.ts';
import type { KvstoreOptions } from '../../shared/flags/kvstore-options.ts';
import { MAX_REMOTE_MESSAGE_BYTES } from '../../shared/limits.ts';
import { errorNumberOf } from '../configuration/config-files.ts';
import type { OpenedSource, SourceFile } from './context.ts';

export interface RemoteEtcdParts extends EtcdSurroundings {
  readonly kvstore: KvstoreOptions;
  /** Of all remotes together. */
  readonly budget: ReceiveBudget;
  /** Of all remotes together. */
  readonly pacing: DialPacing;
}

/**
 * A read-only client of the etcd configured in `path`. If the file exists but cannot be read, the
 * client uses `last`, its previous content. Rejects with the problem of the file.
 */
export async function openRemoteEtcd(
  { path, cluster, last, onDropped }: SourceFile,
  parts: RemoteEtcdParts,
): Promise<OpenedSource> {
  // The higher limit of a first load is only for the local etcd: a remote has other readers too.
  const { bootstrapQps: _, ...kvstore } = parts.kvstore;
  const config = await readOrLast(path, last);
  if (config !== last) warnOf(config, parts.log.child({ cluster }));
  const limiter = limiterOf(kvstore, parts.clock);
  const series = parts.metrics.remoteClient(cluster, limiter);
  const droppedEvents = (count: number) => {
    series.droppedEvents(count);
    onDropped?.(count);
  };
  const observer = { ...series, droppedEvents };
  const receive = { maxMessageBytes: MAX_REMOTE_MESSAGE_BYTES, budget: parts.budget };
  const options = { ...clientOptions(kvstore, parts), config, name: cluster, limiter, observer, receive, pacing: parts.pacing };
  const client = createEtcdClient({ ...options, readOnly: true });
  return { client, config };
}

async function readOrLast(path: string, last: EtcdConfig | undefined): Promise<EtcdConfig> {
  try {
    return await readEtcdConfig(path);
  } catch (thrown) {
    const number = errorNumberOf(thrown);
    if (last === undefined || number === undefined || number === 'ENOENT') throw thrown;
    return last;
  }
}
