/**
 * Detects an address of a remote that leads back to the local cluster, for example because two clusters use the
 * same node port or a name resolves differently inside: the cluster would mirror itself.
 */
import type { ClusterInfo } from '../../shared/cluster-info.ts';
import { CompactedError, FutureRevisionError, PermissionDeniedError } from '../../shared/etcd/errors.ts';
import { clusterConfigKey, HEARTBEAT_KEY } from '../../shared/etcd/keyspace.ts';
import type { EtcdClient, EtcdKey, KeyValue } from '../../shared/etcd/types.ts';
import { ClusterConfigError, parseClusterConfig } from '../cluster-config.ts';

export interface SelfReferenceQuery {
  /** The etcd at the remote's address. */
  readonly source: EtcdClient;
  readonly local: EtcdClient;
  readonly own: ClusterInfo;
  readonly cluster: string;
  readonly signal: AbortSignal;
}

/** How often an entry is compared if the history of the local etcd is compacted during the comparison. */
const MAX_COMPARISONS = 3;

/** The reason and the remedy where `source` is an etcd of the own cluster. Rejects where an etcd does not answer. */
export async function selfReferenceProblem(query: SelfReferenceQuery): Promise<string | undefined> {
  const remedy = 'check its endpoints; node ports and host names must belong to the other cluster';
  if (await isLocalEtcd(query)) return `the address of cluster ${query.cluster} is the address of the local etcd; ${remedy}`;
  if (await describesOwnCluster(query)) {
    return `the address of cluster ${query.cluster} is an etcd of the local cluster ${query.own.name}; ${remedy}`;
  }
  return undefined;
}

/**
 * The same etcd cluster ID, and the same entries in both: revision, lease and value. The ID alone is not sufficient, because etcds
 * that were initialized with the same names and token have the same one, and in two young ones an entry may have the same
 * revision as well.
 */
async function isLocalEtcd(query: SelfReferenceQuery): Promise<boolean> {
  const { source, local, cluster } = query;
  const config = await compare(clusterConfigKey(cluster), query);
  const id = source.state.clusterId;
  if (id === undefined || id !== local.state.clusterId || config !== 'same') return false;
  return (await compare(HEARTBEAT_KEY, query)) !== 'other';
}

/**
 * Compares the entries of both etcds under `key`. The local etcd may have changed its entry since the other one was read: it is
 * asked for the entry at the revision that the other one has.
 */
async function compare(key: EtcdKey, { source, local, signal }: SelfReferenceQuery): Promise<'same' | 'other' | 'absent'> {
  for (let attempt = 1; ; attempt += 1) {
    const there = await source.get(key, { signal });
    if (there === undefined) return (await local.get(key, { signal })) === undefined ? 'absent' : 'other';
    try {
      return isSameEntry(there, await local.get(key, { signal, revision: there.modRevision })) ? 'same' : 'other';
    } catch (thrown) {
      if (thrown instanceof FutureRevisionError) return 'other';
      if (!(thrown instanceof CompactedError)) throw thrown;
    }
    // In one store a compaction can only hide an entry that changed since.
    if (isSameEntry(there, await local.get(key, { signal }))) return 'same';
    if (attempt >= MAX_COMPARISONS) return 'other';
  }
}

function isSameEntry(a: KeyValue, b: KeyValue | undefined): boolean {
  return b !== undefined && a.modRevision === b.modRevision && a.lease === b.lease && a.value.equals(b.value);
}

/** Another replica of the own etcd has the own cluster's entry as its owner wrote it; a mirror of it is marked as such. */
async function describesOwnCluster({ source, own, signal }: SelfReferenceQuery): Promise<boolean> {
  const entry = await readable(source, clusterConfigKey(own.name), signal);
  if (entry === undefined) return false;
  try {
    return !parseClusterConfig(entry.value).cached;
  } catch (thrown) {
    if (thrown instanceof ClusterConfigError) return false;
    throw thrown;
  }
}

/** The entry, undefined also without permission: a remote permits reading its own entry only. */
async function readable(source: EtcdClient, key: EtcdKey, signal: AbortSignal): Promise<KeyValue | undefined> {
  try {
    return await source.get(key, { signal });
  } catch (thrown) {
    if (thrown instanceof PermissionDeniedError) return undefined;
    throw thrown;
  }
}
