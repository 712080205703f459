/**
 * The roles of a mesh's etcd: what the agents of this cluster and what other clusters may read. Nobody but
 * `root` may write.
 *
 * Ranges are those of the original, key by key, since readers range over exactly them: etcd refuses a range
 * as a whole where a part of it is not allowed. Added is one key that agents of 1.15 read before anything else; the
 * original's roles of 1.15 could read everything.
 */
import type { Permission } from '../shared/etcd/operations/auth.ts';
import { type EtcdKey, keyOf, prefixEnd } from '../shared/etcd/types.ts';
import { CLUSTER_CONFIG_MARKER } from '../shared/publisher/cluster-config-marker.ts';

export interface Role {
  readonly name: 'local' | 'remote';
  readonly permissions: readonly Permission[];
}

/** The roles in the etcd of `cluster`; an empty name stands for a cluster without one. */
export function meshRoles(cluster: string): readonly Role[] {
  const own = cluster === '' ? '' : `/${cluster}`;
  return [
    {
      name: 'local',
      permissions: [
        ...['cilium/.heartbeat', 'cilium/cache/', 'cilium/cluster-config/', 'cilium/synced/'].map(readBelow),
        readKey(CLUSTER_CONFIG_MARKER.key),
      ],
    },
    {
      name: 'remote',
      permissions: [
        readBelow('cilium/.heartbeat'),
        readBelow('cilium/state/'),
        // What other clusters have told of themselves is none of a remote's business.
        readKey(keyOf(`cilium/cluster-config${own}`)),
        readBelow(`cilium/synced${own}/`),
        readKey(CLUSTER_CONFIG_MARKER.key),
      ],
    },
  ];
}

function readKey(key: EtcdKey): Permission {
  return { access: 'read', key };
}

function readBelow(prefix: string): Permission {
  const key = keyOf(prefix);
  return { access: 'read', key, end: prefixEnd(key) };
}
