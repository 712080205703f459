import { expect, test } from 'vitest';
import { difference, type ExportedState, eventsBetween, foundState } from '../../demo/mesh/exported-state.ts';
import { keyOf } from '../../src/shared/etcd/types.ts';

function state(services: Readonly<Record<string, readonly string[]>>, more: readonly string[] = []): ExportedState {
  const names = Object.keys(services);
  const keys = names.flatMap((name) => [
    `services/v1/clustermesh-demo/${name}`,
    `endpointslices/v1/clustermesh-demo/${name}-ipv4`,
  ]);
  return {
    keys: new Set([...keys, ...more]),
    services: new Map(names.map((name) => [name, { backends: services[name] ?? [], mark: undefined }])),
  };
}

test('equal states differ in nothing', () => {
  expect(difference(state({ a: ['10.1.0.1'] }), state({ a: ['10.1.0.1'] }))).toBeUndefined();
});

test('a difference names what is missing, what should not be there, and other backends', () => {
  const told = difference(state({ a: ['10.1.0.1'] }, ['ip/v1/10.1.0.1']), state({ a: ['10.1.0.2'] }, ['ip/v1/10.1.0.2']));
  expect(told).toBe(
    'ip/v1/10.1.0.1 is missing, ip/v1/10.1.0.2 should not be there, a has the backends 10.1.0.2 instead of 10.1.0.1',
  );
});

test('a deleted pod is three events, in the keys of either place', () => {
  const before = state({ a: ['10.1.0.1', '10.1.0.2'] }, ['ip/v1/10.1.0.1', 'ip/v1/10.1.0.2']);
  const after = state({ a: ['10.1.0.1'] }, ['ip/v1/10.1.0.1']);
  expect([...eventsBetween(before, after, 'state', 'east')]).toEqual([
    'put cilium/state/services/v1/east/clustermesh-demo/a',
    'put cilium/state/endpointslices/v1/east/clustermesh-demo/a-ipv4',
    'delete cilium/state/ip/v1/default/10.1.0.2',
  ]);
  expect([...eventsBetween(before, after, 'cache', 'east')]).toEqual([
    'put cilium/cache/services/v1/east/clustermesh-demo/a',
    'put cilium/cache/endpointslices/v1/east/clustermesh-demo/a-ipv4',
    'delete cilium/cache/ip/v1/east/10.1.0.2',
  ]);
});

const stored = new Map(
  Object.entries({
    'cilium/cache/services/v1/east/clustermesh-demo/a': '{"backends":{"10.1.0.2":{},"10.1.0.1":{}},"labels":{}}',
    'cilium/cache/services/v1/east/shop/cart': '{"backends":{},"labels":{}}',
    'cilium/cache/services/v1/eastern/clustermesh-demo/b': '{"backends":{}}',
    'cilium/cache/identities/v1/east/id/65537': 'k8s:app=a;',
    'cilium/cache/nodes/v1/east/node-1': '{}',
    'cilium/state/ip/v1/default/10.2.0.1': '{}',
  }).map(([key, value]) => [keyOf(key), Buffer.from(value)]),
);

test('what an etcd says of a cluster is read from the keys of that cluster alone', () => {
  const found = foundState(stored, 'cache', 'east', 'everything');
  expect([...found.keys].sort()).toEqual([
    'identities/v1/65537',
    'nodes/v1/node-1',
    'services/v1/clustermesh-demo/a',
    'services/v1/shop/cart',
  ]);
  expect(found.services.get('a')?.backends).toEqual(['10.1.0.1', '10.1.0.2']);
});

test('of a real cluster only the namespace of the demo is looked at', () => {
  const found = foundState(stored, 'cache', 'east', 'services');
  expect([...found.keys]).toEqual(['services/v1/clustermesh-demo/a']);
});
