/**
 * The roles of a mesh's etcd: what the agents of this cluster and what other clusters may read. Nobody but
 * `root` may write.
 *
 * Ranges are those of the original, key by key, since readers range over exactly them: etcd refuses a range
 * as a whole where a part of it is not allowed. Added is one key that agents of 1.15 read before anything else; the
 * original's roles of 1.15 could read everything.
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

/** The roles in the etcd of `cluster`; an empty name stands for a cluster without one. */
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
        // What other clusters have told of themselves is none of a remote's business.
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
