/**
 * Clusters with mirrored keys in the local etcd that an earlier run left: it did not complete
 * a removal, or was not running when the file was removed.
 */

import { clusterNameProblem } from '../../shared/cluster-info.ts';
import { CACHE, CANARIES, CLUSTER_CONFIGS } from '../../shared/etcd/keyspace.ts';
import { type EtcdClient, type EtcdKey, type KeyValue, keyOf, prefixEnd } from '../../shared/etcd/types.ts';
import { parseClusterConfig } from '../cluster-config.ts';
import { MAPPINGS } from '../mappings.ts';

export interface OrphanSearch {
  readonly local: EtcdClient;
  /** Clusters that are no orphans, whatever keys they have. */
  readonly known: Iterable<string>;
  readonly signal: AbortSignal;
}

/**
 * Their names, those of `known` clusters excluded. Also excluded are clusters that do not look mirrored: with a cluster config without
 * the mark of a mirror, as the local one has it, or an invalid one. Reads all cluster configs and the keys of all canaries, but of
 * mirrored keys only what lies between those of clusters that are known or have been found. Rejects if etcd does not respond.
 */
export async function orphanedClusters({ local, known, signal }: OrphanSearch): Promise<ReadonlySet<string>> {
  const seen = new Set(known);
  const found = new Set<string>();
  const see = (name: string, isMirrored: boolean) => {
    if (clusterNameProblem(name) !== undefined || seen.has(name)) return;
    seen.add(name);
    if (isMirrored) found.add(name);
  };
  for await (const { keyValues } of local.list(CLUSTER_CONFIGS, { signal }))
    for (const config of keyValues) see(config.key.slice(CLUSTER_CONFIGS.length), isMirror(config));
  for await (const { keyValues } of local.list(CANARIES, { signal, keysOnly: true }))
    for (const { key } of keyValues) see(nameOf(key, CANARIES) ?? '', true);
  for (const { scope } of MAPPINGS) {
    const prefix = keyOf(`${CACHE}${scope}/`);
    for await (const name of otherNames({ local, prefix, seen: [...seen], signal })) see(name, true);
  }
  return found;
}

interface Names {
  readonly local: EtcdClient;
  readonly prefix: EtcdKey;
  readonly seen: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * What comes between `prefix` and the next slash and was not seen before; in order, each once. etcd counts all keys of a range, also where
 * it answers one, so no range has the keys of a name that was seen.
 */
async function* otherNames({ local, prefix, seen, signal }: Names): AsyncGenerator<string> {
  const ends = seen.map((name) => `${prefix}${name}/` as EtcdKey).sort();
  let start = prefix;
  for (const end of [...ends, prefixEnd(prefix)]) {
    for (;;) {
      const key = await firstBetween(start, end);
      if (key === undefined) break;
      const name = nameOf(key, prefix);
      if (name !== undefined) yield name;
      start = name === undefined ? (`${key}\0` as EtcdKey) : prefixEnd(`${prefix}${name}/` as EtcdKey);
    }
    start = prefixEnd(end);
  }

  async function firstBetween(from: EtcdKey, end: EtcdKey): Promise<EtcdKey | undefined> {
    if (from >= end) return undefined;
    const options = { signal, start: from, end, pageSize: 1, keysOnly: true };
    for await (const page of local.list(prefix, options)) return page.keyValues[0]?.key;
    return undefined;
  }
}

/** What comes between `prefix` and the next slash. */
function nameOf(key: EtcdKey, prefix: EtcdKey): string | undefined {
  const slash = key.indexOf('/', prefix.length);
  return slash < 0 ? undefined : key.slice(prefix.length, slash);
}

function isMirror({ value }: KeyValue): boolean {
  try {
    return parseClusterConfig(value).cached;
  } catch {
    return false;
  }
}
