/**
 * Objects as from an attacker or a bug: every object that passes the projections is converted
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
import { type Scope, scopePrefix } from '../../../src/apiserver/encoding/keyspace.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import {
  projectCiliumEndpoint,
  projectCiliumEndpointSlice,
  projectCiliumIdentity,
  projectCiliumNode,
  projectEndpointSlice,
  projectService,
  projectServiceExport,
} from '../../../src/shared/kubernetes/objects/projections.ts';
import { ShapeError } from '../../../src/shared/kubernetes/objects/shape.ts';
import { hostileObject, overTheWire } from '../../support/kubernetes/hostile-arbitraries.ts';

const east = { name: 'east', id: 7 };

/** The projected object, or undefined where the projection refuses it by name. */
function projected<T>(project: (raw: unknown) => T, raw: unknown): T | undefined {
  try {
    return project(overTheWire(raw));
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
  holds(hostileObject('CiliumNode'), 'nodes/v1', (raw) => {
    const object = projected(projectCiliumNode, raw);
    return object && convertNode(east, object);
  });
});

test('no CiliumIdentity breaks its converter', () => {
  holds(hostileObject('CiliumIdentity'), 'identities/v1', (raw) => {
    const object = projected(projectCiliumIdentity, raw);
    return object && convertIdentity(east, object);
  });
});

test('no CiliumEndpoint breaks its converter', () => {
  holds(hostileObject('CiliumEndpoint'), 'ip/v1', (raw) => {
    const object = projected(projectCiliumEndpoint, raw);
    return object && convertPods(east, podsOfEndpoint(object));
  });
});

test('no CiliumEndpointSlice breaks its converter', () => {
  holds(hostileObject('CiliumEndpointSlice'), 'ip/v1', (raw) => {
    const object = projected(projectCiliumEndpointSlice, raw);
    return object && convertPods(east, podsOfCiliumEndpointSlice(object));
  });
});

test('no Service, with any EndpointSlices, breaks its converter', () => {
  holds(
    fc.tuple(hostileObject('Service'), fc.array(hostileObject('EndpointSlice'), { maxLength: 3 })),
    'services/v1',
    ([raw, rawSlices]) => {
      const object = projected(projectService, raw);
      const slices = rawSlices.flatMap((rawSlice) => projected(projectEndpointSlice, rawSlice) ?? []);
      return object && convertService(east, object, slices);
    },
  );
});

test('no EndpointSlice breaks its converter', () => {
  holds(hostileObject('EndpointSlice'), 'endpointslices/v1', (raw) => {
    const object = projected(projectEndpointSlice, raw);
    return object && convertEndpointSlice(east, object);
  });
});

test('no ServiceExport and no Service break their converter', () => {
  holds(fc.tuple(hostileObject('ServiceExport'), hostileObject('Service')), 'serviceexports/v1', ([rawExport, rawService]) => {
    const exported = projected(projectServiceExport, rawExport);
    const object = projected(projectService, rawService);
    return exported && object && convertServiceExport(east, exported, object);
  });
});

test('a key is made of the bytes of its name, and of nothing that a name could mean', () => {
  const { entries } = convertNode(east, { metadata: { name: '../../cluster-config/east' } });
  expect(entries.map(({ key }) => key)).toEqual([keyOf('cilium/state/nodes/v1/east/../../cluster-config/east')]);
});
