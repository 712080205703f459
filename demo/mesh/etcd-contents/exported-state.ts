/**
 * What a cluster shows to the mesh: as its etcd holds it, as the other cluster's etcd mirrors it, and as
 * it ought to be by what is deployed.
 *
 * All three have the same form, so that they can be compared: keys without what differs between the
 * places, and of the values what the story is about.
 */
import { zstdDecompressSync } from 'node:zlib';
import type { EtcdKey } from '../../../src/shared/etcd/types.ts';
import { MARK_LABEL, NAMESPACE, type Scope, sliceName } from '../workload/manifests.ts';
import type { Workload } from '../workload/workload.ts';

/** By key: `services/v1/clustermesh-demo/rebel-base`, `ip/v1/10.1.0.11`. */
export type ExportedState = ReadonlyMap<string, ExportedValue>;

export interface ExportedValue {
  /** Of the pods of a service or of an endpoint slice, sorted. */
  readonly addresses: readonly string[];
  readonly mark?: string | undefined;
}

/** Where the keys are: below `cilium/state` in the cluster's own etcd, below `cilium/cache` in a mirror. */
export type Place = 'state' | 'cache';

/** The path between the kind and the name of a key. */
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

/** Values of the other kinds never change. */
const UNCHANGING: ExportedValue = { addresses: [] };

/** The key of a service of the demo. */
export function serviceKey(name: string): string {
  return `services/v1/${NAMESPACE}/${name}`;
}

/** What the cluster of `workload` ought to show. */
export function expectedState(workload: Workload): ExportedState {
  const state = new Map<string, ExportedValue>();
  const everything = workload.scope === 'everything';
  if (everything) state.set(`nodes/v1/${workload.site.nodeName}`, UNCHANGING);
  for (const [name, { spec, pods, identity, mark }] of workload.services) {
    if (everything) {
      state.set(`identities/v1/${identity}`, UNCHANGING);
      for (const { ip } of pods) state.set(`ip/v1/${ip}`, UNCHANGING);
    }
    if (!spec.shared) continue;
    const addresses = pods.map(({ ip }) => ip).sort();
    state.set(serviceKey(name), { addresses, mark });
    state.set(`endpointslices/v1/${NAMESPACE}/${sliceName(name)}`, { addresses });
  }
  return state;
}

/** The state of `cluster` in the `values` of an etcd at that place. In the scope `services` only services of the demo count. */
export function foundState(values: ReadonlyMap<EtcdKey, Buffer>, place: Place, cluster: string, scope: Scope): ExportedState {
  const state = new Map<string, ExportedValue>();
  for (const [kind, tails] of Object.entries(KINDS)) {
    if (scope === 'services' && !NAMESPACED.includes(kind)) continue;
    const prefix = `cilium/${place}/${kind}/${tails[place](cluster)}`;
    for (const [key, value] of values) {
      if (!key.startsWith(prefix)) continue;
      const own = key.slice(prefix.length);
      if (scope === 'services' && !own.startsWith(`${NAMESPACE}/`)) continue;
      state.set(`${kind}/${own}`, decode(kind, value));
    }
  }
  return state;
}

/** What of `found` is not as in `expected`, in words; undefined where nothing is. */
export function difference(expected: ExportedState, found: ExportedState): string | undefined {
  const missing = [...expected.keys()].filter((key) => !found.has(key)).map((key) => `${key} is missing`);
  const others = [...found].flatMap(([key, value]) => {
    const wanted = expected.get(key);
    if (wanted === undefined) return [`${key} should not be there`];
    return isSame(wanted, value) ? [] : [`${key} has ${text(value)} instead of ${text(wanted)}`];
  });
  const all = [...missing, ...others];
  return all.length === 0 ? undefined : all.join(', ');
}

/** One event for each key that differs, as `put <key>` and `delete <key>`, with the keys of that place. */
export function eventsBetween(before: ExportedState, after: ExportedState, place: Place, cluster: string): ReadonlySet<string> {
  const isNews = ([key, value]: [string, ExportedValue]) => !isSame(before.get(key), value);
  const puts = [...after].filter(isNews).map(([key]) => `put ${placed(key, place, cluster)}`);
  const gone = [...before.keys()].filter((key) => !after.has(key));
  return new Set([...puts, ...gone.map((key) => `delete ${placed(key, place, cluster)}`)]);
}

function isSame(a: ExportedValue | undefined, b: ExportedValue): boolean {
  return a !== undefined && text(a) === text(b);
}

function text({ addresses, mark }: ExportedValue): string {
  return [addresses.join(' ') || 'no addresses', ...(mark === undefined ? [] : [`mark ${mark}`])].join(', ');
}

function placed(key: string, place: Place, cluster: string): string {
  const [resource, version, ...own] = key.split('/');
  const kind = `${resource}/${version}`;
  return `cilium/${place}/${kind}/${KINDS[kind]?.[place](cluster)}${own.join('/')}`;
}

function decode(kind: string, value: Buffer): ExportedValue {
  if (kind === 'services/v1') return decodeService(value);
  return kind === 'endpointslices/v1' ? decodeSlice(value) : UNCHANGING;
}

function decodeService(value: Buffer): ExportedValue {
  const { backends, labels } = JSON.parse(value.toString('utf8')) as {
    readonly backends?: Readonly<Record<string, unknown>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  return { addresses: Object.keys(backends ?? {}).sort(), mark: labels?.[MARK_LABEL] };
}

/** A compressed protobuf message, in which only addresses look like addresses. */
function decodeSlice(value: Buffer): ExportedValue {
  const message = zstdDecompressSync(value).toString('latin1');
  return { addresses: (message.match(/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/g) ?? []).sort() };
}
