/**
 * Clusters with mirrored keys in the local etcd that an earlier run left: it did not complete
 * a removal, or was not running when the file was removed.
 */

import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { CACHE, CANARIES, CLUSTER_CONFIGS } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, prefixEnd } from '../../shared/etcd/types.ts';
import { parseClusterConfig } from '../cluster-config.ts';
import { MAPPINGS } from '../mappings.ts';

/**
 * Their names. Excluded are clusters that do not look mirrored: with a cluster config without the mark of a mirror,
 * as the local one has it, or an invalid one. Costs a read per name and prefix, independent of the number of keys. Rejects
 * if etcd does not respond.
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
