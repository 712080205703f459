/** Clients made from the options of the store: of the local etcd, which both daemons write to, and of any other. */

import { asError, errorCode } from '../errors.ts';
import type { KvstoreOptions } from '../flags/kvstore-options.ts';
import { ETCD_KEEPALIVE_TIME_MS, ETCD_KEEPALIVE_TIMEOUT_MS } from '../limits.ts';
import type { Logger } from '../process/log.ts';
import type { Clock } from '../time/clock.ts';
import { createEtcdClient, type EtcdAdminClient, type EtcdClientOptions } from './client.ts';
import { type EtcdConfig, readEtcdConfig } from './config.ts';
import type { EtcdMetrics } from './metrics.ts';
import { RequestLimiter } from './operations/request-limiter.ts';

/** How often to look for a configuration file that is missing or invalid. */
const CONFIG_RETRY_MS = 1_000;

export interface LocalEtcd {
  readonly client: EtcdAdminClient;
  /** Replaces the request limit of the first load with the regular one. */
  endBootstrap(): void;
}

export interface EtcdSurroundings {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: EtcdMetrics;
}

/**
 * A client, as soon as there is a valid configuration: in a starting pod the file may appear
 * later. Rejects only with the signal's reason.
 */
export async function openLocalEtcd(
  options: KvstoreOptions,
  surroundings: EtcdSurroundings,
  signal: AbortSignal,
): Promise<LocalEtcd> {
  const { clock, log, metrics } = surroundings;
  const limiter = limiterOf(options, clock);
  let reported: string | undefined;
  for (;;) {
    try {
      const config = await localConfig(options);
      warnOf(config, log);
      const observer = metrics.client('etcd', limiter);
      const client = createEtcdClient({ ...clientOptions(options, surroundings), config, name: 'local', limiter, observer });
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

/** The request limit from the options, at first that of the first load; undefined if not set. */
export function limiterOf({ qps, bootstrapQps, maxInflight }: KvstoreOptions, clock: Clock): RequestLimiter | undefined {
  if (qps === undefined && bootstrapQps === undefined && maxInflight === undefined) return undefined;
  return new RequestLimiter({ qps: bootstrapQps ?? qps, maxInFlight: maxInflight }, clock);
}

/** What every client takes from the options of the store. */
export function clientOptions(
  options: KvstoreOptions,
  { clock, log }: EtcdSurroundings,
): Omit<EtcdClientOptions, 'config' | 'name'> {
  const { limit, keepaliveTimeMs = ETCD_KEEPALIVE_TIME_MS, keepaliveTimeoutMs = ETCD_KEEPALIVE_TIMEOUT_MS } = options;
  const keepalive = { timeMs: keepaliveTimeMs, timeoutMs: keepaliveTimeoutMs };
  return { clock, log, pageSize: limit, keepalive, strictServerNames: options.strictServerNames };
}

/** Names what has no effect in a configuration file, one line for each. */
export function warnOf({ warnings = [] }: EtcdConfig, log: Logger): void {
  for (const reason of warnings) log.warn({ reason }, 'ignoring part of the etcd configuration file');
}

async function localConfig({ etcdConfigPath, address }: KvstoreOptions): Promise<EtcdConfig> {
  return etcdConfigPath === undefined ? { endpoints: [address ?? ''] } : await readEtcdConfig(etcdConfigPath);
}
