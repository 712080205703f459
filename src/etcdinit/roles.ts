/**
 * The roles of a mesh's etcd: the read permissions of local agents and of other clusters. Only
 * `root` may write.
 *
 * Ranges are those of the original, key by key, since readers use exactly these: etcd rejects a range
 * request if a part of it is not permitted. Additional is one key that agents of 1.15 read first; the
 * original's roles of 1.15 permitted reading everything.
 */

import {
  CACHE,
  CANARIES,
  CLUSTER_CONFIGS,
  canaryPrefix,
  clusterConfigKey,
  HAS_CLUSTER_CONFIG_KEY,
  HEARTBEAT_KEY,
  STATE,
} from '../shared/etcd/keyspace.ts';
import type { Permission } from '../shared/etcd/operations/auth.ts';
import { type EtcdKey, keyOf, prefixEnd } from '../shared/etcd/types.ts';

export interface Role {
  readonly name: 'local' | 'remote';
  readonly permissions: readonly Permission[];
}

/** The roles in the etcd of `cluster`; an empty name means a cluster without one. */
export function meshRoles(cluster: string): readonly Role[] {
  return [
    {
      name: 'local',
      permissions: [...[HEARTBEAT_KEY, CACHE, CLUSTER_CONFIGS, CANARIES].map(readBelow), readKey(HAS_CLUSTER_CONFIG_KEY)],
    },
    {
      name: 'remote',
      permissions: [
        readBelow(HEARTBEAT_KEY),
        readBelow(STATE),
        // A remote must not read the cluster configs of other remotes.
        readKey(cluster === '' ? keyOf('cilium/cluster-config') : clusterConfigKey(cluster)),
        readBelow(cluster === '' ? CANARIES : canaryPrefix(cluster)),
        readKey(HAS_CLUSTER_CONFIG_KEY),
      ],
    },
  ];
}

function readKey(key: EtcdKey): Permission {
  return { access: 'read', key };
}

function readBelow(prefix: EtcdKey): Permission {
  return { access: 'read', key: prefix, end: prefixEnd(prefix) };
}
