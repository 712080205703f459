/**
 * Cilium's key space in an etcd: plain text below `cilium/`, without a leading slash.
 *
 * A cluster writes its own state below `cilium/state/`; kvstoremesh writes that of remote clusters below `cilium/cache/`. The
 * kinds of keys below both are in `src/apiserver/encoding/keyspace.ts` and `src/kvstoremesh/mappings.ts`.
 */
import { type EtcdKey, keyOf } from './types.ts';

/** Every key of Cilium starts with it. */
export const ROOT = keyOf('cilium/');

/** Rewritten every minute, so that readers see that the store works. */
export const HEARTBEAT_KEY = keyOf('cilium/.heartbeat');

/** Where it exists, agents of Cilium 1.15 and older wait for the configuration of the cluster. */
export const HAS_CLUSTER_CONFIG_KEY = keyOf('cilium/.has-cluster-config');

export const CLUSTER_CONFIGS = keyOf('cilium/cluster-config/');

/** `cilium/synced/<cluster>/…`: which prefixes of the cluster are complete. */
export const CANARIES = keyOf('cilium/synced/');

export const STATE = keyOf('cilium/state/');
export const CACHE = keyOf('cilium/cache/');

/** What follows `STATE` or `CACHE` in the keys of each kind that is mirrored, by the name that commands and policies have for it. */
export const SCOPES = {
  nodes: 'nodes/v1',
  identities: 'identities/v1',
  endpoints: 'ip/v1',
  services: 'services/v1',
  endpointslices: 'endpointslices/v1',
  serviceexports: 'serviceexports/v1',
} as const;

export type MirroredKind = keyof typeof SCOPES;
export const MIRRORED_KINDS = Object.keys(SCOPES) as readonly MirroredKind[];

/** The queue of the replicas of kvstoremesh, the original's too. */
export const KVSTOREMESH_LOCKS = keyOf('cilium/kvstoremesh-lock/');

/** The queue of the replicas of clustermesh. The original has none: only one of its replicas writes to an etcd. */
export const CLUSTERMESH_LOCKS = keyOf('cilium/clustermesh-lock/');

export function clusterConfigKey(cluster: string): EtcdKey {
  return keyOf(`${CLUSTER_CONFIGS}${cluster}`);
}

export function canaryPrefix(cluster: string): EtcdKey {
  return keyOf(`${CANARIES}${cluster}/`);
}

/** The canary of the keys of `scope`, such as `nodes/v1`, below `STATE` or `CACHE`. */
export function canaryKey(cluster: string, area: typeof STATE | typeof CACHE, scope: string): EtcdKey {
  return keyOf(`${canaryPrefix(cluster)}${area}${scope}`);
}
