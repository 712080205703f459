import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ClusterModel, type Manifest } from '../cluster-model.ts';

const GLOBAL = { 'service.cilium.io/global': 'true' };
const SERVICE = 'cilium/state/services/v1/east/shop/web';
const SLICE = 'cilium/state/endpointslices/v1/east/shop/web-a';
const EXPORT = 'cilium/state/serviceexports/v1/east/shop/web';
const IDENTITY = 'cilium/state/identities/v1/id/459777';
const IP = 'cilium/state/ip/v1/default/10.9.0.1';
const NODE = 'cilium/state/nodes/v1/east/n';

function namespace(name: string, isGlobal?: string): Manifest {
  const annotations = isGlobal === undefined ? {} : { 'clustermesh.cilium.io/global': isGlobal };
  return { kind: 'Namespace', metadata: { name, annotations } } as Manifest;
}

function service(name = 'web', annotations: Record<string, string> = GLOBAL, spec: object = {}): Manifest {
  const metadata = { name, namespace: 'shop', annotations };
  return { kind: 'Service', metadata, spec: { clusterIP: '10.96.7.7', ports: [{ name: 'p', port: 80 }], ...spec } } as Manifest;
}

function slice(name: string, serviceName: string, ...addresses: string[]): Manifest {
  const metadata = { name, namespace: 'shop', labels: { 'kubernetes.io/service-name': serviceName } };
  const ports = [{ name: 'p', port: 8080 }];
  return { kind: 'EndpointSlice', metadata, addressType: 'IPv4', endpoints: [{ addresses }], ports } as Manifest;
}

function identity(labels: Record<string, string> = { 'k8s:app': 'web', 'k8s:io.kubernetes.pod.namespace': 'shop' }): Manifest {
  return { kind: 'CiliumIdentity', metadata: { name: '459777' }, 'security-labels': labels } as Manifest;
}

function endpoint(name: string, ipv4: string): Manifest {
  return {
    kind: 'CiliumEndpoint',
    metadata: { name, namespace: 'shop' },
    status: { networking: { addressing: [{ ipv4 }] } },
  } as Manifest;
}

function podSlice(ofNamespace: string): Manifest {
  const endpoints = [{ name: 'web-0', networking: { addressing: [{ ipv4: '10.9.0.1' }] } }];
  return { kind: 'CiliumEndpointSlice', metadata: { name: 'ces-1' }, namespace: ofNamespace, endpoints } as Manifest;
}

const serviceExport = { kind: 'ServiceExport', metadata: { name: 'web', namespace: 'shop' } };
const node = { kind: 'CiliumNode', metadata: { name: 'n' } };

/** One object of each kind, all of the namespace `shop`. */
const everything = [service(), slice('web-a', 'web', '10.9.0.1'), identity(), endpoint('web-0', '10.9.0.1'), serviceExport, node];

async function running(...manifests: Manifest[]): Promise<ClusterModel> {
  const model = new ClusterModel();
  model.listed();
  model.apply(...manifests);
  await model.settled();
  return model;
}

const backends = (model: ClusterModel, key = SERVICE) =>
  Object.keys((JSON.parse(model.texts()[key] ?? '{"backends":{}}') as { backends: object }).backends);

test('each kind of object is exported under its key', async () => {
  const model = await running(namespace('shop'), ...everything);
  expect(Object.keys(model.texts()).sort()).toEqual([SLICE, IDENTITY, IP, NODE, EXPORT, SERVICE].sort());
});

test('objects that come before their namespaces are exported when these come', async () => {
  const model = await running(...everything);
  expect(Object.keys(model.texts())).toEqual([NODE]);
  model.apply(namespace('shop'));
  await model.settled();
  expect(Object.keys(model.texts())).toHaveLength(6);
});

test('a namespace that is switched off takes its keys away, nodes and other namespaces stay, and switched on it brings them back', async () => {
  const model = await running(namespace('shop'), ...everything, namespace('other'), {
    ...service(),
    metadata: { ...service().metadata, namespace: 'other' },
  });
  const before = model.texts();
  const other = 'cilium/state/services/v1/east/other/web';
  const wordsBefore = model.sinks['services/v1'].words.length;
  model.apply(namespace('shop', 'false'));
  await model.settled();
  expect(Object.keys(model.texts()).sort()).toEqual([NODE, other].sort());
  expect(model.sinks['services/v1'].words.slice(wordsBefore)).toEqual([`remove ${SERVICE}`]);
  model.apply(namespace('shop', 'True'));
  await model.settled();
  expect(model.texts()).toEqual(before);
});

test('the touch of a namespace that does not change its switch converts nothing', async () => {
  const model = await running(namespace('shop'), ...everything);
  const words = Object.values(model.sinks).map((sink) => sink.words.length);
  model.apply(namespace('shop', 'true'));
  await model.settled();
  expect(Object.values(model.sinks).map((sink) => sink.words.length)).toEqual(words);
});

test('if namespaces are not global by default, only annotated ones are exported', async () => {
  const model = new ClusterModel({ isGlobalByDefault: false });
  model.listed();
  model.apply(namespace('shop'), ...everything);
  await model.settled();
  expect(Object.keys(model.texts())).toEqual([NODE]);
  model.apply(namespace('shop', 'TRUE'));
  await model.settled();
  expect(Object.keys(model.texts())).toHaveLength(6);
});

test('a namespace that is gone takes the keys of what is left of it, and created again it brings them back', async () => {
  const model = await running(namespace('shop'), ...everything);
  model.remove('Namespace', 'shop');
  await model.settled();
  expect(Object.keys(model.texts())).toEqual([NODE]);
  model.apply(namespace('shop'));
  await model.settled();
  expect(Object.keys(model.texts())).toHaveLength(6);
});

test('changes and deletions made while a namespace is off hold when it is on again', async () => {
  const model = await running(namespace('shop', 'false'), ...everything);
  model.apply(slice('web-a', 'web', '10.9.0.9'));
  model.remove('CiliumIdentity', '459777');
  model.apply(namespace('shop', 'true'));
  await model.settled();
  expect(backends(model)).toEqual(['10.9.0.9']);
  expect(model.texts()).not.toHaveProperty(IDENTITY);
});

test('an identity that moves to an unknown namespace keeps its key until the namespace is known', async () => {
  const model = await running(namespace('shop'), identity());
  const before = model.texts();
  model.apply(identity({ 'k8s:app': 'moved', 'k8s:io.kubernetes.pod.namespace': 'nowhere' }));
  await model.settled();
  expect(model.texts()).toEqual(before);
  model.apply(namespace('nowhere'));
  await model.settled();
  expect(model.texts()[IDENTITY]).toBe('k8s:app=moved;k8s:io.kubernetes.pod.namespace=nowhere;');
});

test('a slice of pods that moves to an unknown namespace takes its addresses along, and brings them back with the namespace', async () => {
  const model = await running(namespace('shop'), podSlice('shop'));
  expect(model.texts()[IP]).toContain('"K8sNamespace":"shop"');
  model.apply(podSlice('nowhere'));
  await model.settled();
  expect(model.texts()).toEqual({});
  model.apply(namespace('nowhere'));
  await model.settled();
  expect(model.texts()[IP]).toContain('"K8sNamespace":"nowhere"');
});

test('the address of a slice that moves to an unknown namespace is left to the other that claims it', async () => {
  const model = await running(namespace('shop'), podSlice('shop'));
  model.apply(endpoint('web-1', '10.9.0.1'));
  await model.settled();
  model.apply(podSlice('nowhere'));
  await model.settled();
  expect(model.texts()[IP]).toContain('"K8sPodName":"web-1"');
  expect(model.sinks['ip/v1'].words).not.toContain(`remove ${IP}`);
});

test('what changes while its namespace is gone stays away until the namespace is back', async () => {
  const model = await running(namespace('shop'), ...everything);
  model.remove('Namespace', 'shop');
  model.apply(...everything);
  await model.settled();
  model.apply(...everything, slice('web-a', 'web', '10.9.0.9'));
  await model.settled();
  expect(Object.keys(model.texts())).toEqual([NODE]);
  model.apply(namespace('shop'));
  await model.settled();
  expect(Object.keys(model.texts())).toHaveLength(6);
  expect(backends(model)).toEqual(['10.9.0.9']);
});

test('an object that has moved away from a namespace is none of its concern any more', async () => {
  const model = await running(namespace('shop'), namespace('other'), identity());
  model.apply(identity({ 'k8s:app': 'moved', 'k8s:io.kubernetes.pod.namespace': 'other' }));
  await model.settled();
  model.remove('Namespace', 'shop');
  await model.settled();
  expect(Object.keys(model.texts())).toEqual([IDENTITY]);
});

test('an identity whose labels end loses its key', async () => {
  const model = await running(namespace('shop'), identity());
  model.apply(identity({}));
  await model.settled();
  expect(model.texts()).toEqual({});
});

test('an endpoint that moves to another address leaves the old key, and one that loses its network leaves all', async () => {
  const model = await running(namespace('shop'), endpoint('web-0', '10.9.0.1'));
  model.apply(endpoint('web-0', '10.9.0.2'));
  await model.settled();
  expect(Object.keys(model.texts())).toEqual(['cilium/state/ip/v1/default/10.9.0.2']);
  model.apply({ kind: 'CiliumEndpoint', metadata: { name: 'web-0', namespace: 'shop' } });
  await model.settled();
  expect(model.texts()).toEqual({});
});

test('a service is exported neither before its slices are listed nor before the namespaces are', async () => {
  const model = new ClusterModel();
  model.apply(namespace('shop'), ...everything);
  model.listed(['Service', 'Namespace']);
  await model.settled();
  expect(model.sinks['services/v1'].words).toEqual([]);
  model.listed(['EndpointSlice']);
  await model.settled();
  expect(model.sinks['services/v1'].words).toEqual([`upsert ${SERVICE}`, 'listed']);
  expect(backends(model)).toEqual(['10.9.0.1']);
});

test('a section is listed when all its inputs are listed and their objects are exported', async () => {
  const inputs = {
    'nodes/v1': ['CiliumNode'],
    'identities/v1': ['CiliumIdentity', 'Namespace'],
    'services/v1': ['Service', 'EndpointSlice', 'Namespace'],
    'endpointslices/v1': ['Service', 'EndpointSlice', 'Namespace'],
    'serviceexports/v1': ['Service', 'ServiceExport', 'Namespace'],
  } as const;
  for (const [scope, kinds] of Object.entries(inputs)) {
    for (const late of kinds) {
      const model = new ClusterModel();
      const sink = model.sinks[scope as keyof typeof inputs];
      model.apply(namespace('shop'), ...everything);
      model.listed(kinds.filter((kind) => kind !== late));
      await model.settled();
      expect(sink.isListed, `${scope} without ${late}`).toBe(false);
      model.listed([late]);
      await model.settled();
      expect(sink.words.slice(-2), scope).toEqual([expect.stringMatching(/^upsert /), 'listed']);
    }
  }
});

test('many changes at once are one conversion', async () => {
  const model = await running(namespace('shop'), service());
  const before = model.sinks['services/v1'].words.length;
  for (let i = 0; i < 20; i += 1) model.apply(slice(`web-${i}`, 'web', `10.9.0.${i + 1}`));
  await model.settled();
  expect(model.sinks['services/v1'].words.length - before).toBe(1);
  expect(backends(model)).toHaveLength(20);
});

test('a slice that is given to another service leaves nothing behind', async () => {
  const model = await running(namespace('shop'), service('web'), service('api'), slice('web-a', 'web', '10.9.0.1'));
  model.apply(slice('web-a', 'api', '10.9.0.1'));
  await model.settled();
  expect(backends(model)).toEqual([]);
  expect(backends(model, 'cilium/state/services/v1/east/shop/api')).toEqual(['10.9.0.1']);
  model.remove('EndpointSlice', 'web-a', 'shop');
  await model.settled();
  expect(backends(model, 'cilium/state/services/v1/east/shop/api')).toEqual([]);
});

test('the ports of an address in several slices are those of the last slice by name, in any order of events', async () => {
  const withPort = (name: string, port: number) => ({ ...slice(name, 'web', '10.9.0.1'), ports: [{ name: 'p', port }] });
  const one = await running(namespace('shop'), service(), withPort('a', 81), withPort('b', 82));
  const other = await running(namespace('shop'), withPort('b', 82), withPort('a', 81), service());
  expect(one.texts()[SERVICE]).toContain('"backends":{"10.9.0.1":{"p":{"Protocol":"TCP","Port":82}}}');
  expect(other.texts()[SERVICE]).toBe(one.texts()[SERVICE]);
});

test.each([
  [{ 'service.cilium.io/global': 'True' }, true],
  [{ 'service.cilium.io/global': 'yes' }, false],
  [{ 'service.cilium.io/global': '' }, false],
  [{ 'io.cilium/global-service': 'TRUE' }, true],
  [{ 'service.cilium.io/global': 'false', 'io.cilium/global-service': 'true' }, false],
  [{ 'service.cilium.io/shared': 'true' }, false],
  [{ ...GLOBAL, 'service.cilium.io/shared': 'True' }, true],
  [{ ...GLOBAL, 'service.cilium.io/shared': 'false' }, false],
  [{ ...GLOBAL, 'service.cilium.io/shared': 'yes' }, false],
  [{ ...GLOBAL, 'io.cilium/shared-service': 'false' }, false],
  [{ ...GLOBAL, 'service.cilium.io/shared': 'true', 'io.cilium/shared-service': 'false' }, true],
  [{ ...GLOBAL, 'service.cilium.io/affinity': 'local' }, true],
])('a service annotated %j is shared: %s', async (annotations, isShared) => {
  const model = await running(namespace('shop'), service('web', annotations), slice('web-a', 'web', '10.9.0.1'));
  expect(Object.keys(model.texts()).sort()).toEqual(isShared ? [SLICE, SERVICE] : []);
});

test('a service that is no longer shared takes its slices with it, shared again or deleted alike', async () => {
  const model = await running(namespace('shop'), service(), slice('web-a', 'web', '10.9.0.1'));
  model.apply(service('web', {}));
  await model.settled();
  expect(model.texts()).toEqual({});
  model.apply(service());
  await model.settled();
  expect(Object.keys(model.texts()).sort()).toEqual([SLICE, SERVICE]);
  model.remove('Service', 'web', 'shop');
  await model.settled();
  expect(model.texts()).toEqual({});
});

test('a service that changes otherwise does not convert its slices again', async () => {
  const model = await running(namespace('shop'), service(), slice('web-a', 'web', '10.9.0.1'));
  const before = model.sinks['endpointslices/v1'].words.length;
  model.apply(service('web', GLOBAL, { selector: { app: 'web' } }));
  await model.settled();
  expect(model.sinks['endpointslices/v1'].words.length).toBe(before);
});

test('a slice without a service, or of an unknown one, is not exported', async () => {
  const bare = { kind: 'EndpointSlice', metadata: { name: 'x', namespace: 'shop' }, addressType: 'IPv4' };
  const model = await running(namespace('shop'), service(), bare, slice('y', 'unknown', '10.9.0.1'), slice('z', '', '10.9.0.1'));
  expect(model.sinks['endpointslices/v1'].texts()).toEqual({});
});

test('a service export and its service may come and go in any order', async () => {
  const plain = service('web', {});
  const first = await running(namespace('shop'), plain, serviceExport);
  const second = await running(namespace('shop'), serviceExport, plain);
  expect(Object.keys(first.texts())).toEqual([EXPORT]);
  expect(second.texts()).toEqual(first.texts());
  first.remove('Service', 'web', 'shop');
  second.remove('ServiceExport', 'web', 'shop');
  await Promise.all([first.settled(), second.settled()]);
  expect([first.texts(), second.texts()]).toEqual([{}, {}]);
});

test('a service that becomes a name for something outside is no longer exported under the MCS API', async () => {
  const model = await running(namespace('shop'), service('web', {}), serviceExport);
  model.apply(service('web', {}, { type: 'ExternalName' }));
  await model.settled();
  expect(model.texts()).toEqual({});
});

test('a part of an object that is wrong is counted each time and logged once', async () => {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const model = new ClusterModel({ log });
  model.listed();
  model.apply(namespace('shop'), endpoint('web-0', 'nonsense'), endpoint('web-1', '10.9.0.1'));
  await model.settled();
  model.apply(endpoint('web-0', 'nonsense'));
  await model.settled();
  expect(Object.keys(model.texts())).toEqual([IP]);
  expect(lines.map((text) => JSON.parse(text) as object)).toEqual([
    expect.objectContaining({
      scope: 'ip/v1',
      object: 'shop/web-0',
      parts: ['web-0: networking.addressing: "nonsense" is not an address'],
    }),
  ]);
  expect(await model.metrics.getSingleMetricAsString('test_export_rejected_values_total')).toContain('{scope="ip/v1"} 2');
});
