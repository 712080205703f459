import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { difference, type ExportedState, eventsBetween, foundState } from '../../demo/mesh/etcd-contents/exported-state.ts';
import { keyOf } from '../../src/shared/etcd/types.ts';

/** A service with its endpoint slice and the addresses of its pods. */
function state(addresses: readonly string[], mark?: string): ExportedState {
  return new Map([
    ['services/v1/clustermesh-demo/a', { addresses, mark }],
    ['endpointslices/v1/clustermesh-demo/a-ipv4', { addresses }],
    ...addresses.map((address) => [`ip/v1/${address}`, { addresses: [] }] as const),
  ]);
}

test('equal states differ in nothing', () => {
  expect(difference(state(['10.1.0.1'], 'later'), state(['10.1.0.1'], 'later'))).toBeUndefined();
});

test('a difference names what is missing, what should not be there, and what has another content', () => {
  const told = difference(state(['10.1.0.1'], 'later'), state(['10.1.0.2']));
  expect(told).toContain('ip/v1/10.1.0.1 is missing');
  expect(told).toContain('ip/v1/10.1.0.2 should not be there');
  expect(told).toContain('services/v1/clustermesh-demo/a has 10.1.0.2 instead of 10.1.0.1, mark later');
  expect(told).toContain('endpointslices/v1/clustermesh-demo/a-ipv4 has 10.1.0.2 instead of 10.1.0.1');
});

test('a deleted pod is three events, in the keys of either place', () => {
  const before = state(['10.1.0.1', '10.1.0.2']);
  const after = state(['10.1.0.1']);
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

/** Two endpoints as they are encoded: tag, length, text. */
const slice = zstdCompressSync('\x0a\x0910.1.0.17\x12\x00\x0a\x0a10.1.0.116\x12\x00');
const stored = new Map(
  Object.entries({
    'cilium/cache/services/v1/east/clustermesh-demo/a': '{"backends":{"10.1.0.2":{},"10.1.0.1":{}},"labels":{}}',
    'cilium/cache/services/v1/east/shop/cart': '{"backends":{},"labels":{}}',
    'cilium/cache/services/v1/eastern/clustermesh-demo/b': '{"backends":{}}',
    'cilium/cache/endpointslices/v1/east/clustermesh-demo/a-ipv4': slice,
    'cilium/cache/identities/v1/east/id/65537': 'k8s:app=a;',
    'cilium/cache/nodes/v1/east/node-1': '{}',
    'cilium/state/ip/v1/default/10.2.0.1': '{}',
  }).map(([key, value]) => [keyOf(key), Buffer.from(value)]),
);

test('the state of a cluster in etcd is read only from the keys of that cluster', () => {
  const found = foundState(stored, 'cache', 'east', 'everything');
  expect([...found.keys()].sort()).toEqual([
    'endpointslices/v1/clustermesh-demo/a-ipv4',
    'identities/v1/65537',
    'nodes/v1/node-1',
    'services/v1/clustermesh-demo/a',
    'services/v1/shop/cart',
  ]);
  expect(found.get('services/v1/clustermesh-demo/a')?.addresses).toEqual(['10.1.0.1', '10.1.0.2']);
  expect(found.get('endpointslices/v1/clustermesh-demo/a-ipv4')?.addresses).toEqual(['10.1.0.116', '10.1.0.17']);
});

test('of a real cluster only the namespace of the demo is looked at', () => {
  const found = foundState(stored, 'cache', 'east', 'services');
  expect([...found.keys()].sort()).toEqual(['endpointslices/v1/clustermesh-demo/a-ipv4', 'services/v1/clustermesh-demo/a']);
});
