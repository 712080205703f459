/**
 * Objects that nobody would write, as an attacker or a bug would: whatever passes the projections is converted
 * without an exception, and into the prefix of its kind alone.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { podsOfCiliumEndpointSlice } from '../../../src/apiserver/converters/cilium-endpoint-slice.ts';
import type { Conversion } from '../../../src/apiserver/converters/conversion.ts';
import { podsOfEndpoint } from '../../../src/apiserver/converters/endpoint.ts';
import { convertEndpointSlice } from '../../../src/apiserver/converters/endpoint-slice.ts';
import { convertIdentity } from '../../../src/apiserver/converters/identity.ts';
import { convertNode } from '../../../src/apiserver/converters/node.ts';
import { convertPods } from '../../../src/apiserver/converters/pods.ts';
import { convertService } from '../../../src/apiserver/converters/service.ts';
import { convertServiceExport } from '../../../src/apiserver/converters/service-export.ts';
import { type Scope, scopePrefix } from '../../../src/apiserver/keyspace.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import {
  projectCiliumEndpoint,
  projectCiliumEndpointSlice,
  projectCiliumIdentity,
  projectCiliumNode,
  projectEndpointSlice,
  projectService,
  projectServiceExport,
} from '../../../src/shared/k8s/projections.ts';
import { ShapeError } from '../../../src/shared/k8s/shape.ts';

const east = { name: 'east', id: 7 };

/** Texts that have been somebody's undoing. */
const text = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('10.0.0.1', 'fd00::1', '::ffff:1.2.3.4', '10.0.0.0/8', 'fd00::/64', 'IPv4', 'TCP', 'web', 'shop'),
  },
  fc.constantFrom(
    '',
    '/',
    '..',
    '../../cluster-config/east',
    '\0',
    '\ud800',
    '<nil>',
    '__proto__',
    'constructor',
    '8080',
    'None',
    ';',
    '=',
  ),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
);
const number = fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER), fc.double());
const junk = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.constant([]), fc.constant({}));

/** What a field should hold, and now and then something else. */
const mostly = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 40, arbitrary: arbitrary as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: junk });
const list = (item: fc.Arbitrary<unknown>) => mostly(fc.array(item, { maxLength: 4 }));
const map = mostly(fc.dictionary(text, mostly(text), { maxKeys: 5, noNullPrototype: true }));
const object = (fields: Record<string, fc.Arbitrary<unknown>>) => mostly(fc.record(fields, { requiredKeys: [] }));

const metadata = mostly(
  fc.record({ name: mostly(text), namespace: mostly(text), labels: map, annotations: map, creationTimestamp: mostly(text) }),
);
const ports = list(object({ name: text, protocol: text, port: number, appProtocol: text }));
const pair = object({ ipv4: mostly(text), ipv6: mostly(text) });
const pod = {
  name: text,
  id: number,
  identity: object({ id: number }),
  networking: object({ node: text, addressing: list(pair) }),
  encryption: object({ key: number }),
  'service-account': text,
  'named-ports': ports,
};

const node = fc.record({
  metadata,
  spec: object({
    addresses: list(object({ type: text, ip: text })),
    ipam: object({ podCIDRs: list(text) }),
    health: pair,
    ingress: pair,
    encryption: object({ key: number }),
    bootid: text,
  }),
});
const identity = fc.record({ metadata, 'security-labels': map });
const endpoint = fc.record({ metadata, status: object(pod) });
const ciliumSlice = fc.record({ metadata, namespace: mostly(text), endpoints: list(object(pod)) });
const service = fc.record({
  metadata,
  spec: object({
    type: text,
    clusterIP: text,
    clusterIPs: list(text),
    ports,
    selector: map,
    ipFamilies: list(text),
    sessionAffinity: text,
    sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: number }) }),
    internalTrafficPolicy: text,
    trafficDistribution: text,
  }),
});
const slice = fc.record({
  metadata,
  addressType: mostly(text),
  ports,
  endpoints: list(
    object({
      addresses: list(text),
      conditions: object({ ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() }),
      hostname: text,
      nodeName: text,
      zone: text,
      hints: object({ forZones: list(object({ name: text })) }),
    }),
  ),
});
const serviceExport = fc.record({ metadata, spec: object({ exportedLabels: map, exportedAnnotations: map }) });

/** The projected object, or undefined where the projection refuses it by name. */
function projected<T>(project: (raw: unknown) => T, raw: unknown): T | undefined {
  try {
    // As the API server's answer would be: names like `__proto__` are then names like others.
    return project(JSON.parse(JSON.stringify(raw)));
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ShapeError);
    return undefined;
  }
}

function holds<T>(raw: fc.Arbitrary<T>, scope: Scope, convert: (raw: T) => Conversion | undefined): void {
  const prefix = scopePrefix(east, scope);
  let converted = 0;
  fc.assert(
    fc.property(raw, (value) => {
      const conversion = convert(value);
      if (conversion === undefined) return;
      converted += 1;
      for (const { key, value: bytes } of conversion.entries) {
        expect(key.startsWith(prefix)).toBe(true);
        const said = Buffer.from(bytes).toString();
        if (scope === 'endpointslices/v1' || scope === 'identities/v1') expect(bytes.length).toBeGreaterThan(0);
        else expect(JSON.stringify(JSON.parse(said)).length).toBeGreaterThan(2);
      }
    }),
    { numRuns: 300 },
  );
  expect(converted).toBeGreaterThan(30);
}

test('no CiliumNode breaks its converter', () => {
  holds(node, 'nodes/v1', (raw) => {
    const object = projected(projectCiliumNode, raw);
    return object && convertNode(east, object);
  });
});

test('no CiliumIdentity breaks its converter', () => {
  holds(identity, 'identities/v1', (raw) => {
    const object = projected(projectCiliumIdentity, raw);
    return object && convertIdentity(east, object);
  });
});

test('no CiliumEndpoint breaks its converter', () => {
  holds(endpoint, 'ip/v1', (raw) => {
    const object = projected(projectCiliumEndpoint, raw);
    return object && convertPods(east, podsOfEndpoint(object));
  });
});

test('no CiliumEndpointSlice breaks its converter', () => {
  holds(ciliumSlice, 'ip/v1', (raw) => {
    const object = projected(projectCiliumEndpointSlice, raw);
    return object && convertPods(east, podsOfCiliumEndpointSlice(object));
  });
});

test('no Service, with whatever EndpointSlices, breaks its converter', () => {
  holds(fc.tuple(service, fc.array(slice, { maxLength: 3 })), 'services/v1', ([raw, rawSlices]) => {
    const object = projected(projectService, raw);
    const slices = rawSlices.flatMap((rawSlice) => projected(projectEndpointSlice, rawSlice) ?? []);
    return object && convertService(east, object, slices);
  });
});

test('no EndpointSlice breaks its converter', () => {
  holds(slice, 'endpointslices/v1', (raw) => {
    const object = projected(projectEndpointSlice, raw);
    return object && convertEndpointSlice(east, object);
  });
});

test('no ServiceExport and no Service break their converter', () => {
  holds(fc.tuple(serviceExport, service), 'serviceexports/v1', ([rawExport, rawService]) => {
    const exported = projected(projectServiceExport, rawExport);
    const object = projected(projectService, rawService);
    return exported && object && convertServiceExport(east, exported, object);
  });
});

test('a key is made of the bytes of its name, and of nothing that a name could mean', () => {
  const { entries } = convertNode(east, { metadata: { name: '../../cluster-config/east' } });
  expect(entries.map(({ key }) => key)).toEqual([keyOf('cilium/state/nodes/v1/east/../../cluster-config/east')]);
});
