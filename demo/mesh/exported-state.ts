/**
 * What a cluster shows to the mesh: as its etcd holds it, as the other cluster's etcd mirrors it, and as
 * it ought to be by what is deployed.
 *
 * All three have the same form, so that they can be compared: keys without what differs between the
 * places, and the backends of each service.
 */
import type { EtcdKey } from '../../src/shared/etcd/types.ts';
import { MARK_LABEL, NAMESPACE, type Scope, sliceName } from './manifests.ts';
import type { Workload } from './workload.ts';

export interface ExportedService {
  /** Addresses, sorted. */
  readonly backends: readonly string[];
  readonly mark: string | undefined;
}

export interface ExportedState {
  /** `services/v1/clustermesh-demo/rebel-base`, `ip/v1/10.1.0.11` */
  readonly keys: ReadonlySet<string>;
  readonly services: ReadonlyMap<string, ExportedService>;
}

/** Where the keys are: below `cilium/state` in the cluster's own etcd, below `cilium/cache` in a mirror. */
export type Place = 'state' | 'cache';

/** What stands between the kind and a key's own part. */
const named = (cluster: string) => `${cluster}/`;
const KINDS: Readonly<Record<string, Readonly<Record<Place, (cluster: string) => string>>>> = {
  'nodes/v1': { state: named, cache: named },
  'identities/v1': { state: () => 'id/', cache: (cluster) => `${cluster}/id/` },
  'ip/v1': { state: () => 'default/', cache: named },
  'services/v1': { state: named, cache: named },
  'endpointslices/v1': { state: named, cache: named },
};

/** Kinds whose keys start with a namespace. */
const NAMESPACED = ['services/v1', 'endpointslices/v1'];

/** What `cluster` ought to show. */
export function expectedState(workload: Workload): ExportedState {
  const everything = workload.scope === 'everything';
  const keys = new Set<string>(everything ? [`nodes/v1/${workload.site.nodeName}`] : []);
  const services = new Map<string, ExportedService>();
  for (const [name, { spec, pods, identity, mark }] of workload.services) {
    if (everything) {
      keys.add(`identities/v1/${identity}`);
      for (const { ip } of pods) keys.add(`ip/v1/${ip}`);
    }
    if (!spec.shared) continue;
    keys.add(`services/v1/${NAMESPACE}/${name}`);
    keys.add(`endpointslices/v1/${NAMESPACE}/${sliceName(name)}`);
    services.set(name, { backends: pods.map(({ ip }) => ip).sort(), mark });
  }
  return { keys, services };
}

/** What the etcd with these `values` says of `cluster` in that place. In the scope `services` only what belongs to the demo is looked at. */
export function foundState(values: ReadonlyMap<EtcdKey, Buffer>, place: Place, cluster: string, scope: Scope): ExportedState {
  const keys = new Set<string>();
  const services = new Map<string, ExportedService>();
  for (const [kind, tails] of Object.entries(KINDS)) {
    if (scope === 'services' && !NAMESPACED.includes(kind)) continue;
    const prefix = `cilium/${place}/${kind}/${tails[place](cluster)}`;
    for (const [key, value] of values) {
      if (!key.startsWith(prefix)) continue;
      const own = key.slice(prefix.length);
      if (scope === 'services' && !own.startsWith(`${NAMESPACE}/`)) continue;
      keys.add(`${kind}/${own}`);
      if (kind === 'services/v1') services.set(own.slice(NAMESPACE.length + 1), decodeService(value));
    }
  }
  return { keys, services };
}

/** What of `found` is not as in `expected`, in words; undefined where nothing is. */
export function difference(expected: ExportedState, found: ExportedState): string | undefined {
  const missing = [...expected.keys.difference(found.keys)].map((key) => `${key} is missing`);
  const unexpected = [...found.keys.difference(expected.keys)].map((key) => `${key} should not be there`);
  const changed = [...expected.services].flatMap(([name, { backends, mark }]) => {
    const service = found.services.get(name);
    if (service === undefined) return [];
    const seen = service.backends.join(' ');
    if (seen !== backends.join(' '))
      return [`${name} has the backends ${seen || 'none'} instead of ${backends.join(' ') || 'none'}`];
    return service.mark === mark ? [] : [`${name} is an older version`];
  });
  const all = [...missing, ...unexpected, ...changed];
  return all.length === 0 ? undefined : all.join(', ');
}

/** One event for each key that differs, as `put <key>` and `delete <key>`, with the keys of that place. */
export function eventsBetween(before: ExportedState, after: ExportedState, place: Place, cluster: string): ReadonlySet<string> {
  const changed = [...after.services].flatMap(([name, { backends, mark }]) => {
    const previous = before.services.get(name);
    const hasMoved = previous?.backends.join(' ') !== backends.join(' ');
    return [
      ...(hasMoved || previous?.mark !== mark ? [`services/v1/${NAMESPACE}/${name}`] : []),
      ...(hasMoved ? [`endpointslices/v1/${NAMESPACE}/${sliceName(name)}`] : []),
    ];
  });
  const puts = [...after.keys.difference(before.keys).union(new Set(changed))];
  const deletes = [...before.keys.difference(after.keys)];
  return new Set([
    ...puts.map((key) => `put ${placed(key, place, cluster)}`),
    ...deletes.map((key) => `delete ${placed(key, place, cluster)}`),
  ]);
}

function placed(key: string, place: Place, cluster: string): string {
  const [resource, version, ...own] = key.split('/');
  const kind = `${resource}/${version}`;
  return `cilium/${place}/${kind}/${KINDS[kind]?.[place](cluster)}${own.join('/')}`;
}

function decodeService(value: Buffer): ExportedService {
  const { backends, labels } = JSON.parse(value.toString('utf8')) as {
    readonly backends?: Readonly<Record<string, unknown>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  return { backends: Object.keys(backends ?? {}).sort(), mark: labels?.[MARK_LABEL] };
}
