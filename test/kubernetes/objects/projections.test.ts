/** What is kept of each kind, and what is refused. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as projections from '../../../src/shared/kubernetes/objects/projections.ts';
import { ShapeError } from '../../../src/shared/kubernetes/objects/shape.ts';

const noise = { uid: 'u', managedFields: [{ manager: 'm' }], ownerReferences: null };

test('a Service keeps what is exported, and of its annotations those of Cilium', () => {
  const annotations = {
    'service.cilium.io/global': 'true',
    'io.cilium/global-service': 'true',
    'notcilium.io/x': '1',
    'kubectl.kubernetes.io/last-applied-configuration': '{}',
  };
  const spec = {
    clusterIP: '10.0.0.1',
    clusterIPs: null,
    ports: [{ port: 80, targetPort: 'http', nodePort: 1 }],
    externalIPs: ['1.1.1.1'],
  };
  const raw = {
    kind: 'Service',
    metadata: { ...noise, name: 'web', namespace: 'shop', labels: { a: 'b' }, annotations },
    spec,
    status: {},
  };
  expect(projections.projectService(raw)).toEqual({
    metadata: {
      name: 'web',
      namespace: 'shop',
      labels: { a: 'b' },
      annotations: { 'service.cilium.io/global': 'true', 'io.cilium/global-service': 'true' },
    },
    spec: { clusterIP: '10.0.0.1', ports: [{ port: 80 }] },
  });
});

test('an EndpointSlice keeps all labels and annotations, and null is absent', () => {
  const raw = {
    metadata: { ...noise, name: 's', namespace: 'n', labels: { l: '1' }, annotations: { any: 'thing' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.1'], conditions: { ready: null, serving: false }, hints: null, targetRef: { kind: 'Pod' } },
      { deprecatedTopology: { 'topology.kubernetes.io/zone': 'z' } },
    ],
    ports: null,
  };
  expect(projections.projectEndpointSlice(raw)).toEqual({
    metadata: { name: 's', namespace: 'n', labels: { l: '1' }, annotations: { any: 'thing' } },
    addressType: 'IPv4',
    endpoints: [
      { addresses: ['10.0.0.1'], conditions: { serving: false } },
      { deprecatedTopology: { 'topology.kubernetes.io/zone': 'z' } },
    ],
  });
});

test('a CiliumIdentity keeps its labels, also those named like parts of JavaScript', () => {
  const raw: unknown = JSON.parse(
    '{"metadata":{"name":"7","labels":{"x":"y"}},"security-labels":{"__proto__":"a","k8s:app":"b"}}',
  );
  const identity = projections.projectCiliumIdentity(raw);
  expect(Object.entries(identity['security-labels'] ?? {})).toEqual([
    ['__proto__', 'a'],
    ['k8s:app', 'b'],
  ]);
  expect(identity.metadata).toEqual({ name: '7' });
});

test('a CiliumEndpoint without a status is one that is still being created', () => {
  expect(projections.projectCiliumEndpoint({ metadata: { name: 'p', namespace: 'n' }, status: null })).toEqual({
    metadata: { name: 'p', namespace: 'n' },
  });
});

test('a CiliumEndpointSlice keeps its namespace and its endpoints', () => {
  const endpoint = {
    name: 'p',
    id: 5,
    networking: { addressing: [{ ipv4: '10.0.0.1', ipv6: '' }], node: '1.1.1.1' },
    encryption: { key: 3 },
  };
  const raw = { metadata: { name: 'ces-1' }, namespace: 'n', endpoints: [{ ...endpoint, other: 1 }] };
  expect(projections.projectCiliumEndpointSlice(raw)).toEqual({
    metadata: { name: 'ces-1' },
    namespace: 'n',
    endpoints: [endpoint],
  });
});

test('a CiliumNode keeps its pod networks of every kind, and its annotations', () => {
  const annotations = { 'io.cilium.network.wg-pub-key': 'k=', other: 'x' };
  const raw = {
    metadata: { name: 'n', annotations },
    spec: {
      ipam: {
        podCIDRs: ['10.1.0.0/24'],
        pool: { '10.0.0.1': { resource: 'eni-1' } },
        pools: { requested: [{ pool: 'a', needed: {} }], allocated: [{ pool: 'a', cidrs: ['10.2.0.0/24'] }, { pool: 'b' }] },
      },
    },
  };
  expect(projections.projectCiliumNode(raw)).toEqual({
    metadata: { name: 'n', annotations },
    spec: { ipam: { podCIDRs: ['10.1.0.0/24'], pools: { allocated: [{ cidrs: ['10.2.0.0/24'] }, {}] } } },
  });
});

const wrong: ReadonlyArray<readonly [string, (raw: unknown) => unknown, unknown]> = [
  ['metadata is not an object', projections.namespaceProjection([]), {}],
  ['metadata.name is not a string', projections.namespaceProjection([]), { metadata: { name: 5 } }],
  [
    'spec.ports[1].port is not a number',
    projections.projectService,
    { metadata: { name: 'a' }, spec: { ports: [{ port: 1 }, {}] } },
  ],
  ['spec.addresses is not a list', projections.projectCiliumNode, { metadata: { name: 'a' }, spec: { addresses: {} } }],
  [
    'security-labels is not a map of strings',
    projections.projectCiliumIdentity,
    { metadata: { name: 'a' }, 'security-labels': { a: 1 } },
  ],
  [
    'spec.exportedLabels is not a map',
    projections.projectServiceExport,
    { metadata: { name: 'a' }, spec: { exportedLabels: ['a'] } },
  ],
];

test('a namespace keeps the labels that are asked for, and the annotations of Cilium', () => {
  const annotations = { 'clustermesh.cilium.io/global': 'true', other: 'x' };
  const raw = { metadata: { name: 'shop', labels: { mesh: 'yes', other: 'x' }, annotations } };
  expect(projections.namespaceProjection(['mesh', 'env'])(raw)).toEqual({
    metadata: { name: 'shop', labels: { mesh: 'yes' }, annotations: { 'clustermesh.cilium.io/global': 'true' } },
  });
});

test.for(wrong)('%s is refused by name', ([message, project, raw]) => {
  expect(() => project(raw)).toThrow(new ShapeError(message));
});

test('for any input, a projection returns or throws a ShapeError', () => {
  const { namespaceProjection, labelledEndpointProjection, ...others } = projections;
  const all = [namespaceProjection(['a']), labelledEndpointProjection(['a']), ...Object.values(others)];
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...all), (raw, project) => {
      try {
        project({ metadata: { name: 'a' }, spec: raw, status: raw, endpoints: raw, addressType: 'IPv4', 'security-labels': raw });
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ShapeError);
      }
    }),
  );
});
