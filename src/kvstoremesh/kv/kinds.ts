/** The kinds of keys by the names that `kv` has for them, and where they are. */
import {
  CACHE,
  CANARIES,
  CLUSTER_CONFIGS,
  canaryPrefix,
  clusterConfigKey,
  MIRRORED_KINDS,
  type MirroredKind,
  SCOPES,
  STATE,
} from '../../shared/etcd/keyspace.ts';
import { type EtcdKey, keyOf } from '../../shared/etcd/types.ts';
import { destinationPrefix, MAPPINGS, type Mapping, sourcePrefix } from '../mappings.ts';

export type Kind = MirroredKind | 'cluster-config' | 'synced';

export const KINDS: readonly Kind[] = [...MIRRORED_KINDS, 'cluster-config', 'synced'];

export function mappingOf(kind: MirroredKind): Mapping {
  return MAPPINGS.find(({ scope }) => scope === SCOPES[kind]) as Mapping;
}

/** A prefix of the local etcd, or a single key. */
export interface Place {
  readonly prefix: EtcdKey;
  readonly isKey: boolean;
}

/**
 * Where the keys of `cluster` are in the local etcd; without one, those of all clusters. `ownName`: the cluster of the local etcd, where it is
 * known. A cluster that is not known to be another one may have keys in either part.
 */
export function placesOf(kind: Kind, cluster: string | undefined, ownName: string | undefined): readonly Place[] {
  if (kind === 'cluster-config')
    return [{ prefix: cluster === undefined ? CLUSTER_CONFIGS : clusterConfigKey(cluster), isKey: cluster !== undefined }];
  if (kind === 'synced') return [below(cluster === undefined ? CANARIES : canaryPrefix(cluster))];
  const mapping = mappingOf(kind);
  if (cluster === undefined) return [STATE, CACHE].map((area) => below(keyOf(`${area}${mapping.scope}/`)));
  const [own, mirrored] = [below(sourcePrefix(mapping, cluster, false)), below(destinationPrefix(mapping, cluster))];
  // The names of identities and addresses do not have the cluster.
  const isShared = kind === 'identities' || kind === 'endpoints';
  return cluster === ownName ? [own] : isShared ? [mirrored] : [own, mirrored];
}

function below(prefix: EtcdKey): Place {
  return { prefix, isKey: false };
}

/** The kind of a key; undefined for one that no kind has, such as a lock. */
export function kindOf(key: string): Kind | undefined {
  if (key.startsWith(CLUSTER_CONFIGS)) return 'cluster-config';
  if (key.startsWith(CANARIES)) return 'synced';
  return MIRRORED_KINDS.find((kind) => [STATE, CACHE].some((area) => key.startsWith(`${area}${SCOPES[kind]}/`)));
}
