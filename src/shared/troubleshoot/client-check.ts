/**
 * The last step: whether our own client gets a response and, for a remote cluster, whether it is the right one and has the required keys.
 */

import { asError } from '../errors.ts';
import { CredentialsError, EtcdConfigError, EtcdError, PermissionDeniedError } from '../etcd/errors.ts';
import { CACHE, CLUSTER_CONFIGS, canaryPrefix, clusterConfigKey, HEARTBEAT_KEY, STATE } from '../etcd/keyspace.ts';
import { type EtcdClient, type KeyValue, keyOf, type ListOptions } from '../etcd/types.ts';
import { MAX_HEARTBEAT_BYTES } from '../limits.ts';
import type { CheckedConfig, ClientFindings, ClusterDescription, ClusterFindings } from './findings.ts';
import { inOrder } from './in-order.ts';

export interface ClientCheckOptions {
  readonly config: CheckedConfig;
  /** Absent for the local etcd, which is only checked with one key. */
  readonly cluster: string | undefined;
  readonly connect: (config: CheckedConfig, name: string) => EtcdClient;
  /** Parses the value of a cluster config; throws if it is invalid. */
  readonly describe: (value: Buffer) => ClusterDescription;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Clusters whose etcd it may be instead: tried where the configuration of `cluster` cannot be read. */
  readonly candidates?: readonly string[];
}

/** Keys of a large response: nodes have a kilobyte each. */
const LARGE_PAGE = 100;
const NAMES_PAGE = 20;
/** Keys read at the same time. */
const CANDIDATES_AT_ONCE = 32;

/** Never rejects. */
export async function checkClient(options: ClientCheckOptions): Promise<ClientFindings> {
  const { config, cluster, connect, signal } = options;
  let client: EtcdClient;
  try {
    client = connect(config, cluster ?? 'local');
  } catch (thrown) {
    return { kind: 'created-not', error: asError(thrown) };
  }
  try {
    const heartbeat = await firstAnswer(client, options);
    const { clusterId = '' } = client.state;
    return {
      kind: 'connected',
      clusterId,
      store: [clusterId, heartbeat?.modRevision, heartbeat?.lease, heartbeat?.value.toString('base64', 0, 256)].join(' '),
      heartbeat: heartbeat?.value.toString('utf8', 0, MAX_HEARTBEAT_BYTES),
      cluster: cluster === undefined ? undefined : await lookInto(client, cluster, options),
    };
  } catch (thrown) {
    return failed(thrown, client, signal);
  } finally {
    client.close();
  }
}

/** Whether the key exists plays no part: an answer is one. Each endpoint is tried, in equal shares of the time. */
async function firstAnswer(client: EtcdClient, { config, signal, timeoutMs }: ClientCheckOptions): Promise<KeyValue | undefined> {
  const aliases = [...(config.hostAliases?.values() ?? [])].reduce((sum, addresses) => sum + addresses.length, 0);
  const attempts = Math.max(1, config.endpoints.length, aliases);
  for (let left = attempts; ; left -= 1) {
    try {
      return await client.get(HEARTBEAT_KEY, { signal, timeoutMs: Math.max(1, Math.floor(timeoutMs / attempts)) });
    } catch (thrown) {
      const isWorthAnother = thrown instanceof EtcdError && thrown.concernsConnection && !(thrown instanceof CredentialsError);
      if (left <= 1 || !isWorthAnother || signal.aborted) throw thrown;
    }
  }
}

function failed(thrown: unknown, client: EtcdClient, signal: AbortSignal): ClientFindings {
  // After a timeout the error of earlier attempts is more useful.
  const error = signal.aborted ? (client.state.lastError ?? asError(thrown)) : asError(thrown);
  if (error instanceof EtcdConfigError || error instanceof CredentialsError) return { kind: 'created-not', error };
  const isConnection = signal.aborted || !(error instanceof EtcdError) || error.concernsConnection;
  return { kind: isConnection ? 'unreachable' : 'refused', error };
}

async function lookInto(client: EtcdClient, cluster: string, options: ClientCheckOptions): Promise<ClusterFindings> {
  const { describe, signal } = options;
  const found = await outcome(() => client.get(clusterConfigKey(cluster), { signal }), signal);
  const value = found.kind === 'value' ? found.value?.value : undefined;
  const description = value === undefined ? undefined : described(value, describe);
  const synced = canaryPrefix(cluster);
  const nodes = `${description?.cached ? CACHE : STATE}nodes/v1/${cluster}/`;
  const small = await firstPage(client, synced, { signal, pageSize: 1 });
  const large = await firstPage(client, nodes, { signal, pageSize: LARGE_PAGE });
  const isStalled = signal.aborted && small.kind !== 'unanswered' && large.kind === 'unanswered';
  const config = configKind(found.kind, value !== undefined, description !== undefined);
  return {
    config,
    id: description?.id,
    description,
    names: config === 'absent' || config === 'denied' ? await ownersOf(client, options) : [],
    denied: [...(small.kind === 'denied' ? [synced] : []), ...(large.kind === 'denied' ? [nodes] : [])],
    isStalled,
  };
}

/** The clusters whose own configuration the etcd holds. Other users than those of the cluster may only try the key of each. */
async function ownersOf(client: EtcdClient, { cluster, candidates = [], describe, signal }: ClientCheckOptions) {
  const isOwn = (value: Buffer) => described(value, describe)?.cached === false;
  const page = await firstPage(client, CLUSTER_CONFIGS, { signal, pageSize: NAMES_PAGE });
  if (page.kind === 'value')
    return page.value.filter(({ value }) => isOwn(value)).map(({ key }) => key.slice(CLUSTER_CONFIGS.length));
  const names: string[] = [];
  const get = (name: string) => outcome(() => client.get(clusterConfigKey(name), { signal }), signal);
  const others = candidates.filter((name) => name !== cluster);
  for await (const { item, result } of inOrder(others, CANDIDATES_AT_ONCE, get)) {
    if (result.kind === 'value' && result.value !== undefined && isOwn(result.value.value)) names.push(item);
  }
  return names;
}

function configKind(outcomeKind: Outcome<unknown>['kind'], isThere: boolean, isReadable: boolean): ClusterFindings['config'] {
  if (outcomeKind !== 'value') return outcomeKind;
  if (!isThere) return 'absent';
  return isReadable ? 'present' : 'malformed';
}

function described(value: Buffer, describe: ClientCheckOptions['describe']): ClusterDescription | undefined {
  try {
    return describe(value);
  } catch {
    return undefined;
  }
}

type Outcome<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'denied' | 'unanswered' };

async function outcome<T>(work: () => Promise<T>, signal: AbortSignal): Promise<Outcome<T>> {
  try {
    if (signal.aborted) return { kind: 'unanswered' };
    return { kind: 'value', value: await work() };
  } catch (thrown) {
    return { kind: thrown instanceof PermissionDeniedError ? 'denied' : 'unanswered' };
  }
}

async function firstPage(client: EtcdClient, prefix: string, options: ListOptions): Promise<Outcome<readonly KeyValue[]>> {
  return outcome(async () => {
    for await (const { keyValues } of client.list(keyOf(prefix), options)) return keyValues;
    return [];
  }, options.signal);
}
