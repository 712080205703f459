/**
 * Any history of namespaces, identities and endpoints: what is exported follows from what there is at its end, and at no time could a
 * reader see an address whose identity is not there.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../cluster-model.ts';
import type { Call } from './journaled-section.ts';
import { SelectionModel } from './selection-model.ts';

const NAMESPACES = ['shop', 'bank'];
const IDENTITIES = ['300', '301', '302'];
/** Besides numbers without an object: none, reserved, well known. */
const NUMBERS = [0, 4, 102, ...[...IDENTITIES, ...IDENTITIES, ...IDENTITIES].map(Number)];
const SELECTOR = 'sync in (yes),!internal';

type Labels = Readonly<Record<string, string>>;
type Change = { readonly type: 'apply' | 'remove'; readonly manifest: Manifest } | { readonly type: 'turns' | 'settle' };

const manifest = (object: object) => object as Manifest;
const isSelected = (labels: Labels) => labels.sync === 'yes' && labels.internal === undefined;

const labels = fc.constantFrom<Labels[]>(
  { sync: 'yes' },
  { sync: 'yes', other: 'x' },
  { sync: 'no' },
  { sync: 'yes', internal: '' },
  {},
);
const number = fc.constantFrom(...NUMBERS);
const address = fc.integer({ min: 1, max: 9 }).map((last) => ({ ipv4: `10.0.0.${last}` }));
const second = fc.nat(3).map((at) => `2026-01-01T00:00:0${at}Z`);

const namespaces = fc
  .record({ name: fc.constantFrom(...NAMESPACES), isGlobal: fc.constantFrom(true, true, true, false) })
  .map(({ name, isGlobal }) => {
    const annotations = { 'clustermesh.cilium.io/global': `${isGlobal}` };
    return manifest({ kind: 'Namespace', metadata: { name, annotations } });
  });

const identities = fc
  .record({
    name: fc.constantFrom(...IDENTITIES),
    labels,
    namespace: fc.constantFrom(...NAMESPACES, ...NAMESPACES, ...NAMESPACES, undefined),
  })
  .map(({ name, labels: own, namespace }) => {
    const security = Object.fromEntries(Object.entries(own).map(([label, value]) => [`k8s:${label}`, value]));
    const owner = namespace && { 'k8s:io.kubernetes.pod.namespace': namespace };
    return manifest({ kind: 'CiliumIdentity', metadata: { name }, 'security-labels': { ...security, ...owner } });
  });

const endpoints = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c'),
    namespace: fc.constantFrom(...NAMESPACES),
    creationTimestamp: second,
    labels: fc.option(labels, { nil: undefined }),
    id: number,
    addressing: fc.array(address, { maxLength: 2 }),
  })
  .map(({ id, addressing, labels: own, ...metadata }) => {
    const status = { identity: { id }, networking: { addressing } };
    return manifest({ kind: 'CiliumEndpoint', metadata: { ...metadata, ...(own && { labels: own }) }, status });
  });

const slices = fc
  .record({
    name: fc.constantFrom('s', 't'),
    namespace: fc.constantFrom(...NAMESPACES),
    creationTimestamp: second,
    endpoints: fc.array(fc.record({ name: fc.constantFrom('a', 'b'), id: number, address }), { maxLength: 4 }),
  })
  .map(({ namespace, endpoints: pods, ...metadata }) => {
    const entries = pods.map(({ address: pair, ...pod }) => ({ ...pod, networking: { addressing: [pair] } }));
    return manifest({ kind: 'CiliumEndpointSlice', metadata, namespace, endpoints: entries });
  });

const historyOf = (holders: fc.Arbitrary<Manifest>) => {
  const change = (type: 'apply' | 'remove', of: fc.Arbitrary<Manifest>) => of.map((object) => ({ type, manifest: object }));
  const step: fc.Arbitrary<Change> = fc.oneof(
    { weight: 8, arbitrary: change('apply', holders) },
    { weight: 1, arbitrary: change('remove', holders) },
    { weight: 2, arbitrary: change('apply', identities) },
    { weight: 1, arbitrary: change('remove', identities) },
    { weight: 1, arbitrary: change('apply', namespaces) },
    { weight: 3, arbitrary: fc.constantFrom({ type: 'turns' as const }, { type: 'settle' as const }) },
  );
  return fc.array(step, { minLength: 8, maxLength: 40, size: 'max' });
};

interface Claim {
  readonly owner: string;
  readonly created: string;
  readonly text: string;
  readonly id: number;
  readonly isSelected: boolean;
}

interface Raw {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly creationTimestamp: string;
    readonly labels?: Labels;
  };
  readonly namespace?: string;
  readonly status?: {
    readonly identity: { readonly id: number };
    readonly networking: { readonly addressing: { ipv4: string }[] };
  };
  readonly endpoints?: {
    readonly name: string;
    readonly id: number;
    readonly networking: { readonly addressing: { ipv4: string }[] };
  }[];
}

/** What is exported of these objects, by the words of the documentation. */
function expected(present: ReadonlyMap<string, Manifest>): { identities: string[]; addresses: Record<string, string> } {
  const objects = [...present.values()] as unknown as (Raw & { 'security-labels': Labels; metadata: { annotations?: Labels } })[];
  const ofKind = (kind: string) => objects.filter((object) => object.kind === kind);
  const global = ofKind('Namespace').filter(({ metadata }) => metadata.annotations?.['clustermesh.cilium.io/global'] === 'true');
  const open = new Set(global.map(({ metadata }) => metadata.name));
  const known = new Map(ofKind('CiliumIdentity').map((object) => [object.metadata.name, object['security-labels']]));
  const byIdentity = (id: number) => {
    const security = known.get(String(id));
    const own = Object.entries(security ?? {}).map(([label, value]) => [label.replace('k8s:', ''), value]);
    return security !== undefined && isSelected(Object.fromEntries(own) as Labels);
  };
  const claims = new Map<string, Claim[]>();
  for (const object of [...ofKind('CiliumEndpoint'), ...ofKind('CiliumEndpointSlice')]) {
    const { metadata, status, namespace = metadata.namespace ?? '' } = object;
    if (!open.has(namespace)) continue;
    const own = status && { name: metadata.name, id: status.identity.id, networking: status.networking };
    const pods = own ? [own] : (object.endpoints ?? []);
    const ofObject = new Map<string, Claim>();
    for (const { name, id, networking } of pods) {
      for (const { ipv4 } of networking.addressing) {
        const selected = metadata.labels === undefined ? byIdentity(id) : isSelected(metadata.labels);
        const owner = `${metadata.namespace ? `${metadata.namespace}/` : ''}${metadata.name}`;
        const text = `${namespace}/${name} ${id}`;
        ofObject.set(`${ipv4} ${selected ? id : ''}`, {
          owner,
          created: metadata.creationTimestamp,
          text,
          id,
          isSelected: selected,
        });
        ofObject.set(ipv4, { owner, created: metadata.creationTimestamp, text, id, isSelected: selected });
      }
    }
    for (const [key, claim] of ofObject) claims.set(key, [...(claims.get(key) ?? []), claim]);
  }
  const used = [...claims.values()].flat().filter((claim) => claim.isSelected);
  const exported = [...known].filter(
    ([name, security]) => security['k8s:io.kubernetes.pod.namespace'] !== undefined && used.some(({ id }) => String(id) === name),
  );
  const addresses: [string, string][] = [];
  for (const [key, all] of claims) {
    const [owner] = all.toSorted((a, b) => (a.created + a.owner < b.created + b.owner ? 1 : -1));
    if (!key.includes(' ') && owner?.isSelected) addresses.push([key, owner.text]);
  }
  return { identities: exported.map(([name]) => name).sort(), addresses: Object.fromEntries(addresses.sort()) };
}

const idOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`;
const IDENTITY_KEY = 'cilium/state/identities/v1/id/';

/**
 * What a call would show to a reader if etcd carried it out at once: an address whose identity may be missing. Left out is what no
 * order can avoid: the identity has no object, or none with a namespace.
 */
function dangling(call: Call, model: SelectionModel, exportable: (id: string) => boolean): string[] {
  const idIn = (text: string | undefined) => (text === undefined ? '' : String((JSON.parse(text) as { ID: number }).ID));
  if (call.key.startsWith(IDENTITY_KEY)) {
    const id = call.key.slice(IDENTITY_KEY.length);
    if (call.verb === 'upsert' || !exportable(id)) return [];
    const keys = new Set(model.journal.calls.map(({ key }) => key).filter((key) => !key.startsWith(IDENTITY_KEY)));
    return [...keys].filter((key) => [...model.journal.possible(key)].some((text) => idIn(text) === id));
  }
  const id = idIn(call.value);
  if (call.verb === 'remove' || !exportable(id)) return [];
  return model.journal.possible(IDENTITY_KEY + id).has(undefined) ? [call.key] : [];
}

const SECURITY = { 'k8s:sync': 'yes', 'k8s:io.kubernetes.pod.namespace': 'shop' };
const START: readonly Manifest[] = [
  ...NAMESPACES.map((name) => ({
    kind: 'Namespace',
    metadata: { name, annotations: { 'clustermesh.cilium.io/global': 'true' } },
  })),
  ...IDENTITIES.map((name) => ({ kind: 'CiliumIdentity', metadata: { name }, 'security-labels': SECURITY })),
];

function hasNamespace(present: ReadonlyMap<string, Manifest>, id: string): boolean {
  const object = present.get(`CiliumIdentity  ${id}`) as unknown as { 'security-labels': Labels } | undefined;
  return object?.['security-labels']['k8s:io.kubernetes.pod.namespace'] !== undefined;
}

async function carriedOut(model: SelectionModel, change: Change, present: Map<string, Manifest>): Promise<void> {
  if (!('manifest' in change)) await (change.type === 'settle' ? model.settled() : model.turns());
  else if (change.type === 'apply') {
    present.set(idOf(change.manifest), change.manifest);
    model.apply(change.manifest);
  } else {
    present.delete(idOf(change.manifest));
    model.remove(change.manifest);
  }
}

describe.each([
  ['CiliumEndpoints', endpoints, false],
  ['CiliumEndpointSlices', slices, true],
] as const)('%s', (_, holders, usesEndpointSlices) => {
  test('what is exported follows from the objects alone, and every address from its identity', async () => {
    let [exportedKeys, checkedCalls] = [0, 0];
    const histories = historyOf(holders as fc.Arbitrary<Manifest>);
    await fc.assert(
      fc.asyncProperty(histories, histories, fc.integer({ min: 0, max: 4 }), async (before, after, turns) => {
        const model = new SelectionModel({ selector: SELECTOR, usesEndpointSlices, turns: () => turns });
        const present = new Map<string, Manifest>();
        const carryOut = (change: Change) => carriedOut(model, change, present);
        for (const object of START) await carryOut({ type: 'apply', manifest: object });
        for (const step of before) if ('manifest' in step) await carryOut(step);

        /** Identities that came, went or lost their namespace since everything was settled: no order is possible. */
        const excused = new Set<string>();
        const problems: string[] = [];
        model.journal.onCall = (call) => {
          checkedCalls += 1;
          problems.push(...dangling(call, model, (id) => hasNamespace(present, id) && !excused.has(id)));
        };
        model.listed();
        await model.settled();
        expect(model.exported()).toEqual(expected(present));
        for (const step of after) {
          const { name = '' } = 'manifest' in step && step.manifest.kind === 'CiliumIdentity' ? step.manifest.metadata : {};
          const had = hasNamespace(present, name);
          if (!had) excused.add(name);
          if (
            step.type === 'remove' ||
            ('manifest' in step && !hasNamespace(new Map([[idOf(step.manifest), step.manifest]]), name))
          )
            excused.add(name);
          await carryOut(step);
          if (step.type === 'settle') excused.clear();
        }
        await model.settled();
        expect(problems).toEqual([]);
        const exported = model.exported();
        expect(exported).toEqual(expected(present));
        exportedKeys += exported.identities.length + Object.keys(exported.addresses).length;
      }),
      { numRuns: 200 },
    );
    expect(exportedKeys).toBeGreaterThan(80);
    expect(checkedCalls).toBeGreaterThan(500);
  });
});
