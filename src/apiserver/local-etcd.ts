/** The client of the local etcd, from the options of the store. */
import type { Clock } from '../shared/clock.ts';
import { asError, errorCode } from '../shared/errors.ts';
import { createEtcdClient } from '../shared/etcd/client.ts';
import { type EtcdConfig, readEtcdConfig } from '../shared/etcd/config.ts';
import { RequestLimiter } from '../shared/etcd/request-limiter.ts';
import type { EtcdClient } from '../shared/etcd/types.ts';
import type { KvstoreOptions } from '../shared/kvstore-options.ts';
import { ETCD_KEEPALIVE_TIME_MS, ETCD_KEEPALIVE_TIMEOUT_MS } from '../shared/limits.ts';
import type { Logger } from '../shared/log.ts';

/** How often a configuration file that is not there, or not usable yet, is looked for. */
const CONFIG_RETRY_MS = 1_000;

export interface LocalEtcd {
  readonly client: EtcdClient;
  /** The limit on requests that holds during the first load gives way to the one that holds after it. */
  endBootstrap(): void;
}

/**
 * A client, as soon as there is a configuration to make it from: in a starting pod the file may come later
 * than we do. Rejects only with the signal's reason.
 */
export async function openLocalEtcd(
  options: KvstoreOptions,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal },
): Promise<LocalEtcd> {
  const limiter = createLimiter(options, clock);
  const keepalive = {
    timeMs: options.keepaliveTimeMs ?? ETCD_KEEPALIVE_TIME_MS,
    timeoutMs: options.keepaliveTimeoutMs ?? ETCD_KEEPALIVE_TIMEOUT_MS,
  };
  let reported: string | undefined;
  for (;;) {
    try {
      const config = await readConfig(options);
      const client = createEtcdClient({ config, name: 'local', log, clock, limiter, keepalive, pageSize: options.limit });
      return { client, endBootstrap: () => limiter?.setQps(options.qps) };
    } catch (thrown) {
      const { message } = asError(thrown);
      if (message !== reported)
        log.warn({ code: errorCode(thrown), reason: message }, 'waiting for the configuration of the local etcd');
      reported = message;
      await clock.sleep(CONFIG_RETRY_MS, signal);
    }
  }
}

function createLimiter({ qps, bootstrapQps, maxInflight }: KvstoreOptions, clock: Clock): RequestLimiter | undefined {
  if (qps === undefined && bootstrapQps === undefined && maxInflight === undefined) return undefined;
  return new RequestLimiter({ qps: bootstrapQps ?? qps, maxInFlight: maxInflight }, clock);
}

async function readConfig({ etcdConfigPath, address }: KvstoreOptions): Promise<EtcdConfig> {
  return etcdConfigPath === undefined ? { endpoints: [address ?? ''] } : await readEtcdConfig(etcdConfigPath);
}
