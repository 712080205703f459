/**
 * Hostile objects among valid ones: with any content of the former, the latter are exported as if they
 * were alone, nothing is written elsewhere, and what is left out is named.
 */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Scope, scopePrefix } from '../../../src/apiserver/encoding/keyspace.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import {
  HOSTILE_KINDS,
  type HostileKind,
  hostileNamedObject,
  overTheWire,
} from '../../support/kubernetes/hostile-arbitraries.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { ClusterModel, type Manifest } from '../cluster-model.ts';

const east = { name: 'east', id: 7 };

const SCOPES: Readonly<Record<HostileKind, readonly Scope[]>> = {
  CiliumNode: ['nodes/v1'],
  CiliumIdentity: ['identities/v1'],
  CiliumEndpoint: ['ip/v1'],
  CiliumEndpointSlice: ['ip/v1'],
  Service: ['services/v1', 'serviceexports/v1'],
  EndpointSlice: ['services/v1', 'endpointslices/v1'],
  ServiceExport: ['serviceexports/v1'],
};

const GLOBAL = { 'service.cilium.io/global': 'true' };
const good = (object: object) => object as Manifest;
const shop = { namespace: 'shop' };

/** As they should be; the others have neither their names nor their addresses. */
const WITNESSES: readonly Manifest[] = [
  good({ kind: 'Namespace', metadata: { name: 'shop' } }),
  good({ kind: 'CiliumNode', metadata: { name: 'witness' }, spec: { addresses: [{ type: 'InternalIP', ip: '192.0.2.1' }] } }),
  good({
    kind: 'CiliumIdentity',
    metadata: { name: '459777' },
    'security-labels': { 'k8s:io.kubernetes.pod.namespace': 'shop' },
  }),
  good({
    kind: 'CiliumEndpoint',
    metadata: { name: 'witness', ...shop },
    status: { networking: { addressing: [{ ipv4: '192.0.2.2' }] } },
  }),
  good({
    kind: 'CiliumEndpointSlice',
    metadata: { name: 'witness' },
    ...shop,
    endpoints: [{ name: 'pod', networking: { addressing: [{ ipv4: '192.0.2.3' }] } }],
  }),
  good({ kind: 'Service', metadata: { name: 'witness', ...shop, annotations: GLOBAL }, spec: { ports: [{ port: 80 }] } }),
  good({
    kind: 'EndpointSlice',
    metadata: { name: 'witness', ...shop, labels: { 'kubernetes.io/service-name': 'witness' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.4'] }],
  }),
  good({ kind: 'ServiceExport', metadata: { name: 'witness', ...shop } }),
];

/** Names that an API server accepts, some of which break careless programs. */
const names = fc.constantFrom('web', 'constructor', 'tostring', '0', '8080', '007', '-1', 'a.b', 'x'.repeat(253), '__proto__');

const hostile = (kind: HostileKind) =>
  hostileNamedObject(kind, fc.record({ name: names, namespace: fc.constantFrom('shop', 'shop', 'unknown', '__proto__') }));

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `field` of `object`, if it is a map, has `more` in addition to its other members. */
function extended<T extends Readonly<Record<string, unknown>>>(object: T, field: string, more: object): T {
  return isMap(object[field]) ? { ...object, [field]: { ...object[field], ...more } } : object;
}

/** Much of it is exported: it is shared, belongs to a service that may exist, or to a namespace that does. */
function belonging(kind: HostileKind, raw: unknown): Manifest {
  const object: Manifest & Readonly<Record<string, unknown>> = { ...(overTheWire(raw) as Manifest), kind };
  const metadata = object.metadata as unknown as Readonly<Record<string, unknown>>;
  const withMetadata = (field: string, more: object) =>
    ({ ...object, metadata: extended(metadata, field, more) }) as unknown as Manifest;
  if (kind === 'Service') return withMetadata('annotations', GLOBAL);
  if (kind === 'EndpointSlice') return withMetadata('labels', { 'kubernetes.io/service-name': 'web' });
  if (kind === 'CiliumIdentity') return extended(object, 'security-labels', { 'k8s:io.kubernetes.pod.namespace': 'shop' });
  if (kind === 'CiliumEndpointSlice' && typeof object.namespace === 'string') return { ...object, ...shop };
  return object;
}

async function exported(objects: readonly Manifest[]) {
  const { log, lines } = recordingLogger();
  const model = new ClusterModel({ cluster: east, log });
  model.apply(...objects);
  model.listed();
  await model.settled();
  return { model, lines };
}

const alone = (await exported(WITNESSES)).model.texts();

test('the witnesses export a key in each scope', () => {
  expect(Object.keys(alone)).toHaveLength(7);
});

for (const kind of HOSTILE_KINDS) {
  test(`no ${kind} keeps others from being exported, or is left out without being named`, async () => {
    let exportedToo = 0;
    let leftOut = 0;
    // A service is as bad as its slices, and its wish to be exported.
    const kinds: readonly HostileKind[] =
      kind === 'Service' || kind === 'EndpointSlice' || kind === 'ServiceExport'
        ? ['Service', 'EndpointSlice', 'ServiceExport']
        : [kind];
    const objects = fc.tuple(
      ...kinds.map((each) =>
        fc.array(
          hostile(each).map((raw) => belonging(each, raw)),
          { minLength: 1, maxLength: 4 },
        ),
      ),
    );
    await fc.assert(
      fc.asyncProperty(objects, async (drawn) => {
        const all = drawn.flat();
        const { model, lines } = await exported([...all, ...WITNESSES, ...all]);
        expect(model.texts()).toMatchObject(alone);
        const prefixes = kinds.flatMap((each) => SCOPES[each]).map((scope) => scopePrefix(east, scope));
        const further = Object.keys(model.texts()).filter((key) => !Object.hasOwn(alone, key));
        expect(further.filter((key) => !prefixes.some((prefix) => key.startsWith(prefix)))).toEqual([]);
        exportedToo += further.length;
        const named = lines.filter(({ msg }) => msg === 'skipping an object that cannot be decoded');
        leftOut += named.length;
        for (const { name, reason } of named) {
          expect(all.some(({ metadata }) => metadata.name === name)).toBe(true);
          expect(String(reason)).toMatch(/ is not /);
        }
        // There was no unexpected error.
        expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
      }),
      { numRuns: 120 },
    );
    expect(exportedToo).toBeGreaterThan(0);
    expect(leftOut).toBeGreaterThan(0);
  });
}

test('an object that is wrong in one field is left out by name and field, and what it exported before stays', async () => {
  const { log, lines } = recordingLogger();
  const model = new ClusterModel({ cluster: east, log });
  model.apply(...WITNESSES);
  model.listed();
  await model.settled();
  model.apply(good({ kind: 'CiliumNode', metadata: { name: 'witness' }, spec: { ipam: { podCIDRs: 'x' } } }));
  model.apply(good({ kind: 'CiliumNode', metadata: { name: 'other' }, spec: { ipam: { podCIDRs: ['x'] } } }));
  await model.settled();
  expect(model.texts()).toMatchObject(alone);
  expect(Object.keys(model.texts())).toContain(keyOf('cilium/state/nodes/v1/east/other'));
  expect(lines).toEqual([
    expect.objectContaining({ level: 'warn', name: 'witness', reason: 'spec.ipam.podCIDRs is not a list' }),
    expect.objectContaining({ level: 'warn', object: 'other', parts: ['spec.ipam.podCIDRs: "x" is not a network'] }),
  ]);
});
