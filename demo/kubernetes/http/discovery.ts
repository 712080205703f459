/**
 * What clients ask about the API itself: its version, its groups, its kinds.
 */

import type { KindRegistry } from '../kinds/kind-registry.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { apiVersionOf } from '../kinds/resource-kind.ts';
import type { JsonObject } from '../objects/json.ts';

/** Said by `kubectl version`, to distinguish this API from a cluster. */
export const EMBEDDED_VERSION = 'v1.34.0+embedded';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];
const SUBRESOURCE_VERBS = ['get', 'patch', 'update'];

/** The answer to a path of discovery; undefined for any other path. */
export function discover(pathname: string, kinds: KindRegistry, host: string): JsonObject | undefined {
  if (pathname === '/version' || pathname === '/version/') return version();
  if (pathname === '/api' || pathname === '/api/') {
    const serverAddressByClientCIDRs = [{ clientCIDR: '0.0.0.0/0', serverAddress: host }];
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs };
  }
  if (pathname === '/apis' || pathname === '/apis/') return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups(kinds) };
  const [, root, ...rest] = pathname.replace(/\/$/, '').split('/');
  const [first = '', second] = rest;
  if (root === 'api' && rest.length === 1) return resourceList('', first, kinds);
  if (root === 'apis' && rest.length === 1) return groups(kinds).find((group) => group.name === first);
  return root === 'apis' && rest.length === 2 ? resourceList(first, second ?? '', kinds) : undefined;
}

function version(): JsonObject {
  return {
    major: '1',
    minor: '34',
    gitVersion: EMBEDDED_VERSION,
    gitCommit: 'embedded',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: `none (node ${process.version})`,
    compiler: 'none',
    platform: `${process.platform}/${process.arch}`,
  };
}

function groups(kinds: KindRegistry): JsonObject[] {
  const byGroup = Map.groupBy(
    kinds.all().filter((kind) => kind.group !== ''),
    (kind) => kind.group,
  );
  return [...byGroup].map(([name, members]) => {
    const names = [...new Set(members.flatMap((kind) => kind.versions))];
    const versions = names.map((each) => ({ groupVersion: apiVersionOf(name, each), version: each }));
    return { kind: 'APIGroup', apiVersion: 'v1', name, versions, preferredVersion: versions[0] ?? {} };
  });
}

function resourceList(group: string, servedVersion: string, kinds: KindRegistry): JsonObject | undefined {
  const members = kinds.all().filter((kind) => kind.group === group && kind.versions.includes(servedVersion));
  if (members.length === 0) return undefined;
  const resources = members.flatMap((kind) => resourcesOf(kind));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(group, servedVersion), resources };
}

function resourcesOf(kind: ResourceKind): JsonObject[] {
  const common = { namespaced: kind.namespaced, kind: kind.kind };
  const main: JsonObject = {
    ...common,
    name: kind.plural,
    singularName: kind.kind.toLowerCase(),
    verbs: VERBS,
    ...(kind.shortNames.length > 0 ? { shortNames: kind.shortNames } : {}),
    ...(kind.categories.length > 0 ? { categories: kind.categories } : {}),
  };
  const status: JsonObject = { ...common, name: `${kind.plural}/status`, singularName: '', verbs: SUBRESOURCE_VERBS };
  return kind.hasStatus ? [main, status] : [main];
}
