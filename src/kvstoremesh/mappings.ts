/**
 * The six kinds of keys that are mirrored, as data.
 *
 * A remote's keys are below `cilium/state`, or below `cilium/cache` where the remote is a mirror itself.
 * Ours are below `cilium/cache` in either case, in the same form, so that mirrors can be chained. Only the
 * `id/` part of the identities travels: the rest belongs to the allocator of the remote.
 */
import { CACHE, canaryKey, canaryPrefix, STATE } from '../shared/etcd/keyspace.ts';
import { type EtcdKey, keyOf } from '../shared/etcd/types.ts';
import type { ClusterConfig } from './cluster-config.ts';

/** Which formats of services the local agents read. */
export type ServiceFormat = 'prefer-legacy' | 'prefer-endpointslice' | 'only-endpointslice';

/** The name of a kind in logs and in the status. */
export type MappingName = 'nodes' | 'identities' | 'endpoints' | 'services' | 'endpoint slices' | 'service exports';

export interface Mapping {
  readonly name: MappingName;
  /** The part of the keys that names the kind and its version; a canary ends with it. */
  readonly scope: string;
  /** The path between the scope and the name of a key below `cilium/state`. */
  readonly stateTail: (cluster: string) => string;
  /** The same below `cilium/cache`, for a source that is a mirror and for what we write. */
  readonly cacheTail: (cluster: string) => string;
  /** Lower ranks are loaded first: other kinds refer to nodes and identities. */
  readonly rank: number;
  /** Withdrawn when the remote is unreachable for too long: it receives load-balanced traffic. */
  readonly expires: boolean;
  /** Whether the remote exports this kind and local agents read it. */
  readonly enabled: (config: ClusterConfig, format: ServiceFormat) => boolean;
}

const always = () => true;
const ownTail = (cluster: string) => `${cluster}/`;

export const MAPPINGS: readonly Mapping[] = [
  { name: 'nodes', scope: 'nodes/v1', stateTail: ownTail, cacheTail: ownTail, rank: 0, expires: false, enabled: always },
  {
    name: 'identities',
    scope: 'identities/v1',
    stateTail: () => 'id/',
    cacheTail: (cluster) => `${cluster}/id/`,
    rank: 0,
    expires: false,
    enabled: always,
  },
  {
    name: 'endpoints',
    scope: 'ip/v1',
    stateTail: () => 'default/',
    cacheTail: ownTail,
    rank: 1,
    expires: false,
    enabled: always,
  },
  {
    name: 'services',
    scope: 'services/v1',
    stateTail: ownTail,
    cacheTail: ownTail,
    rank: 2,
    expires: true,
    enabled: (config, format) => config.endpointSlicesExportMode !== 'endpointslices-only' && format !== 'only-endpointslice',
  },
  {
    name: 'endpoint slices',
    scope: 'endpointslices/v1',
    stateTail: ownTail,
    cacheTail: ownTail,
    rank: 2,
    expires: true,
    // An unknown mode exports both: it may add something, but includes these.
    enabled: (config) => config.endpointSlicesExportMode !== '',
  },
  {
    name: 'service exports',
    scope: 'serviceexports/v1',
    stateTail: ownTail,
    cacheTail: ownTail,
    rank: 2,
    expires: true,
    // Present with either value: it is absent if the remote does not support the kind.
    enabled: (config) => config.serviceExportsEnabled !== undefined,
  },
];

/** Where the keys of `cluster` are read. `cached`: the source is a mirror itself. */
export function sourcePrefix(mapping: Mapping, cluster: string, cached: boolean): EtcdKey {
  return cached ? destinationPrefix(mapping, cluster) : keyOf(`${STATE}${mapping.scope}/${mapping.stateTail(cluster)}`);
}

/** Where they are written; no key is ever written outside. */
export function destinationPrefix(mapping: Mapping, cluster: string): EtcdKey {
  return keyOf(`${CACHE}${mapping.scope}/${mapping.cacheTail(cluster)}`);
}

/** The canary of the source: its keys are complete. */
export function sourceCanary(mapping: Mapping, cluster: string, cached: boolean): EtcdKey {
  return canaryKey(cluster, cached ? CACHE : STATE, mapping.scope);
}

/** The canary of the mirror. */
export function destinationCanary(mapping: Mapping, cluster: string): EtcdKey {
  return sourceCanary(mapping, cluster, true);
}

/** The prefixes of a removed cluster, in the order in which the original removes them: by the names of the kinds. */
export function drainPrefixes(cluster: string): readonly EtcdKey[] {
  const byName = [...MAPPINGS].sort((a, b) => (a.name < b.name ? -1 : 1));
  return [
    canaryPrefix(cluster),
    // All identities of the cluster: old versions also wrote beside `id/`.
    ...byName.map(({ scope }) => keyOf(`${CACHE}${scope}/${cluster}/`)),
  ];
}

/**
 * The key below `to` for `key` below `from`, or undefined if there is none: `key` is outside of
 * `from`, or its name is empty.
 *
 * The name is copied byte for byte, `.` and `..` included, but runs of slashes become one and slashes at
 * its ends are removed, as everywhere in this key space. Otherwise a name that consists of slashes would be
 * written as the prefix itself.
 */
export function rekey(from: EtcdKey, to: EtcdKey, key: EtcdKey): EtcdKey | undefined {
  if (!key.startsWith(from)) return undefined;
  const own = collapse(key.slice(from.length));
  return own === '' ? undefined : (`${to}${own}` as EtcdKey);
}

function collapse(own: string): string {
  if (!own.startsWith('/') && !own.endsWith('/') && !own.includes('//')) return own;
  return own
    .split('/')
    .filter((element) => element !== '')
    .join('/');
}
