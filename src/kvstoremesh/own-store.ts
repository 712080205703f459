/**
 * Notices that the address of a remote leads back to the own cluster, as it does where two clusters use the
 * same node port or a name resolves differently inside: everybody would see a mirror of himself.
 */
import type { ClusterInfo } from '../shared/cluster-info.ts';
import { PermissionDeniedError } from '../shared/etcd/errors.ts';
import type { EtcdClient, EtcdKey, KeyValue } from '../shared/etcd/types.ts';
import { ClusterConfigError, parseClusterConfig } from './cluster-config.ts';
import { clusterConfigKey } from './mappings.ts';

export interface OwnStoreQuery {
  /** The etcd behind the remote's address. */
  readonly source: EtcdClient;
  readonly local: EtcdClient;
  readonly own: ClusterInfo;
  readonly cluster: string;
  readonly signal: AbortSignal;
}

/** The reason and the remedy where `source` is an etcd of the own cluster. Rejects where an etcd does not answer. */
export async function ownStoreProblem(query: OwnStoreQuery): Promise<string | undefined> {
  const remedy = 'check its endpoints; node ports and host names must lead to the other cluster';
  if (await isLocalEtcd(query)) return `the address of cluster ${query.cluster} is that of the local etcd; ${remedy}`;
  if (await describesOwnCluster(query)) {
    return `the address of cluster ${query.cluster} is an etcd of the local cluster ${query.own.name}; ${remedy}`;
  }
  return undefined;
}

/**
 * The same etcd cluster ID, and the same entry down to its revision: an ID alone proves nothing, because
 * etcds that were set up with the same names and token have the same one.
 */
async function isLocalEtcd({ source, local, cluster, signal }: OwnStoreQuery): Promise<boolean> {
  const key = clusterConfigKey(cluster);
  const [there, here] = await Promise.all([source.get(key, { signal }), local.get(key, { signal })]);
  const id = source.state.clusterId;
  return id !== undefined && id === local.state.clusterId && there?.modRevision === here?.modRevision;
}

/** Another replica of the own etcd has the own cluster's entry as its owner wrote it; a mirror of it is marked as such. */
async function describesOwnCluster({ source, own, signal }: OwnStoreQuery): Promise<boolean> {
  const entry = await readable(source, clusterConfigKey(own.name), signal);
  if (entry === undefined) return false;
  try {
    return !parseClusterConfig(entry.value).cached;
  } catch (thrown) {
    if (thrown instanceof ClusterConfigError) return false;
    throw thrown;
  }
}

/** The entry, undefined also where it may not be read: a remote lets us read its own entry only. */
async function readable(source: EtcdClient, key: EtcdKey, signal: AbortSignal): Promise<KeyValue | undefined> {
  try {
    return await source.get(key, { signal });
  } catch (thrown) {
    if (thrown instanceof PermissionDeniedError) return undefined;
    throw thrown;
  }
}
