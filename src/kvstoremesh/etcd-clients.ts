/** The clients of the local etcd and of the remote ones, from their files and the options of the store. */
import type { Clock } from '../shared/clock.ts';
import { asError } from '../shared/errors.ts';
import { createEtcdClient, type EtcdClientOptions } from '../shared/etcd/client.ts';
import { type EtcdConfig, readEtcdConfig } from '../shared/etcd/config.ts';
import { RequestLimiter } from '../shared/etcd/request-limiter.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import type { KvstoreOptions } from '../shared/kvstore-options.ts';
import { ETCD_KEEPALIVE_TIME_MS, ETCD_KEEPALIVE_TIMEOUT_MS } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';
import type { OpenedSource } from './remote-context.ts';

export interface ClientParts {
  readonly kvstore: KvstoreOptions;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often a missing configuration file is looked for. */
const FILE_RETRY_MS = 5_000;

/** Waits for the configuration file where it does not exist or cannot be used yet. Rejects only with the signal's reason. */
export async function openLocalEtcd(parts: ClientParts, limiter: RequestLimiter, signal: AbortSignal): Promise<EtcdClient> {
  const { clock, log } = parts;
  let reported: string | undefined;
  for (;;) {
    try {
      const config = await localConfig(parts.kvstore);
      return createEtcdClient({ ...optionsOf(parts), config, name: 'local', limiter });
    } catch (thrown) {
      const { message } = asError(thrown);
      if (message !== reported) log.warn({ error: message }, 'waiting for the configuration of the local etcd');
      reported = message;
      await clock.sleep(FILE_RETRY_MS, signal);
    }
  }
}

/** A client, for reading alone, of the etcd that `path` names now. Rejects with what is wrong with the file. */
export async function openRemoteEtcd(path: string, cluster: string, parts: ClientParts): Promise<OpenedSource> {
  const { kvstore, clock } = parts;
  const config = await readEtcdConfig(path);
  const limiter = new RequestLimiter({ qps: kvstore.qps, maxInFlight: kvstore.maxInflight }, clock);
  const client = createEtcdClient({ ...optionsOf(parts), config, name: cluster, limiter, readOnly: true });
  return { client, endpoints: config.endpoints.length };
}

function optionsOf({ kvstore, clock, log }: ClientParts): Omit<EtcdClientOptions, 'config' | 'name'> {
  const { limit, keepaliveTimeMs = ETCD_KEEPALIVE_TIME_MS, keepaliveTimeoutMs = ETCD_KEEPALIVE_TIMEOUT_MS } = kvstore;
  return { clock, log, pageSize: limit, keepalive: { timeMs: keepaliveTimeMs, timeoutMs: keepaliveTimeoutMs } };
}

async function localConfig({ etcdConfigPath, address }: KvstoreOptions): Promise<EtcdConfig> {
  return etcdConfigPath === undefined ? { endpoints: [address ?? ''] } : await readEtcdConfig(etcdConfigPath);
}
