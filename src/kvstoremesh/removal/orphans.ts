/**
 * Clusters of which the local etcd holds mirrored keys, whoever mirrored them: an earlier run that was told to
 * remove one and did not come to the end, or was not running when its file went.
 */

import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { CACHE, CANARIES, CLUSTER_CONFIGS } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, prefixEnd } from '../../shared/etcd/types.ts';
import { parseClusterConfig } from '../cluster-config.ts';
import { MAPPINGS } from '../mappings.ts';

/**
 * Their names. Left out is whoever does not look like a mirrored cluster: one with a config that says it writes
 * here itself, as the local one does, or that cannot be read. Costs a read for each name and prefix, however many keys there are. Rejects
 * where etcd does not answer.
 */
export async function mirroredClusters(local: EtcdClient, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const writers = new Set<string>();
  for await (const { name, entry } of names(local, CLUSTER_CONFIGS, signal)) (isMirror(entry) ? found : writers).add(name);
  const caches = MAPPINGS.map(({ scope }) => keyOf(`${CACHE}${scope}/`));
  for (const prefix of [CANARIES, ...caches]) for await (const { name } of names(local, prefix, signal)) found.add(name);
  return new Set([...found].filter((name) => !writers.has(name) && clusterNameProblem(name) === undefined));
}

/** What comes between `prefix` and the next slash, or the end of a cluster config, with the first such key; in order, each once. */
async function* names(
  local: EtcdClient,
  prefix: EtcdKey,
  signal: AbortSignal,
): AsyncGenerator<{ readonly name: string; readonly entry: KeyValue }> {
  let start = prefix;
  for (;;) {
    const entry = await firstFrom(local, prefix, start, signal);
    if (entry === undefined) return;
    const slash = entry.key.indexOf('/', prefix.length);
    const isNamed = slash < 0 === (prefix === CLUSTER_CONFIGS);
    if (isNamed) yield { name: entry.key.slice(prefix.length, slash < 0 ? undefined : slash), entry };
    start = slash < 0 ? (`${entry.key}\0` as EtcdKey) : prefixEnd(entry.key.slice(0, slash + 1) as EtcdKey);
  }
}

async function firstFrom(local: EtcdClient, prefix: EtcdKey, start: EtcdKey, signal: AbortSignal): Promise<KeyValue | undefined> {
  const isConfig = prefix === CLUSTER_CONFIGS;
  for await (const page of local.list(prefix, { signal, start, pageSize: 1, keysOnly: !isConfig })) return page.keyValues[0];
  return undefined;
}

function isMirror({ value }: KeyValue): boolean {
  try {
    return parseClusterConfig(value).cached;
  } catch {
    return false;
  }
}
