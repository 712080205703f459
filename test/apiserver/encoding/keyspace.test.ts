import { expect, test } from 'vitest';
import {
  canaryKey,
  endpointSliceKey,
  identityKey,
  ipKey,
  nodeKey,
  SCOPES,
  scopePrefix,
  serviceExportKey,
  serviceKey,
} from '../../../src/apiserver/encoding/keyspace.ts';
import { clusterConfigKey } from '../../../src/shared/etcd/keyspace.ts';

const east = { name: 'east', id: 7 };

test('keys of nodes, services, slices and exports carry the name of the cluster, those of identities and addresses do not', () => {
  expect([
    nodeKey(east, 'n-a.example'),
    identityKey(east, '459777'),
    ipKey(east, 'fd09::5'),
    serviceKey(east, 'shop', 'web'),
    endpointSliceKey(east, 'shop', 'web-x1'),
    serviceExportKey(east, 'shop', 'web'),
    clusterConfigKey(east.name),
  ]).toEqual([
    'cilium/state/nodes/v1/east/n-a.example',
    'cilium/state/identities/v1/id/459777',
    'cilium/state/ip/v1/default/fd09::5',
    'cilium/state/services/v1/east/shop/web',
    'cilium/state/endpointslices/v1/east/shop/web-x1',
    'cilium/state/serviceexports/v1/east/shop/web',
    'cilium/cluster-config/east',
  ]);
});

test('the canary of identities and of addresses is named without the end of their prefix', () => {
  expect(SCOPES.map((scope) => canaryKey(east, scope))).toEqual([
    'cilium/synced/east/cilium/state/nodes/v1',
    'cilium/synced/east/cilium/state/identities/v1',
    'cilium/synced/east/cilium/state/ip/v1',
    'cilium/synced/east/cilium/state/services/v1',
    'cilium/synced/east/cilium/state/endpointslices/v1',
    'cilium/synced/east/cilium/state/serviceexports/v1',
  ]);
});

test('no prefix is the beginning of another one', () => {
  const prefixes = SCOPES.map((scope) => scopePrefix(east, scope));
  for (const one of prefixes) expect(prefixes.filter((other) => other.startsWith(one))).toEqual([one]);
});
