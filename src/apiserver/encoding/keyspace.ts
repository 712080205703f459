/**
 * The keys of one cluster in its local etcd: plain text below `cilium/`, without a leading slash.
 *
 * Nodes, services, endpoint slices and service exports carry the cluster's name in their keys;
 * identities and addresses don't, their numbers are unique in the whole mesh.
 */
import { canaryKey as canaryKeyOf, STATE } from '../../shared/etcd/keyspace.ts';
import { type EtcdKey, keyOf } from '../../shared/etcd/types.ts';

/** What is written for one object. */
export interface Entry {
  readonly key: EtcdKey;
  readonly value: Uint8Array;
}

/** The cluster whose objects are exported. */
export interface Cluster {
  readonly name: string;
  readonly id: number;
}

/** The groups of keys that are synchronised each by itself. */
export const SCOPES = ['nodes/v1', 'identities/v1', 'ip/v1', 'services/v1', 'endpointslices/v1', 'serviceexports/v1'] as const;
export type Scope = (typeof SCOPES)[number];

/** The canary: the first complete listing of `scope` is in etcd. Named by the scope, even if keys have a longer prefix. */
export function canaryKey(cluster: Cluster, scope: Scope): EtcdKey {
  return canaryKeyOf(cluster.name, STATE, scope);
}

/** What every key of `scope` starts with; ends with a slash. */
export function scopePrefix(cluster: Cluster, scope: Scope): EtcdKey {
  return keyOf(prefixText(cluster, scope));
}

export function nodeKey(cluster: Cluster, name: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'nodes/v1')}${name}`);
}

/** `name` is the identity's number. It is not checked: readers expect the name of the object as the key. */
export function identityKey(cluster: Cluster, name: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'identities/v1')}${name}`);
}

/** `address` in its canonical form: a key per spelling would be a second owner of the address. */
export function ipKey(cluster: Cluster, address: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'ip/v1')}${address}`);
}

export function serviceKey(cluster: Cluster, namespace: string, name: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'services/v1')}${namespace}/${name}`);
}

export function endpointSliceKey(cluster: Cluster, namespace: string, name: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'endpointslices/v1')}${namespace}/${name}`);
}

export function serviceExportKey(cluster: Cluster, namespace: string, name: string): EtcdKey {
  return keyOf(`${prefixText(cluster, 'serviceexports/v1')}${namespace}/${name}`);
}

function prefixText(cluster: Cluster, scope: Scope): string {
  if (scope === 'identities/v1') return `${STATE}identities/v1/id/`;
  if (scope === 'ip/v1') return `${STATE}ip/v1/default/`;
  return `${STATE}${scope}/${cluster.name}/`;
}
