import { expect, test } from 'vitest';
import { destinationOf } from '../../src/mesh/addresses.ts';

const node = (...addresses: readonly (readonly [type: string, address: string])[]) => ({
  status: { addresses: addresses.map(([type, address]) => ({ type, address })) },
});

const onNodes = (nodes: readonly object[]) =>
  destinationOf({
    service: { spec: { type: 'NodePort', ports: [{ port: 2379, nodePort: 32_379 }] } },
    nodes: nodes as never,
    certificate: undefined,
  });

test('of each node the external addresses are used, of both families, else the internal ones', () => {
  const nodes = [
    node(['InternalIP', '10.0.0.1'], ['ExternalIP', '192.0.2.1'], ['ExternalIP', '2001:db8::1'], ['Hostname', 'a']),
    node(['InternalIP', '10.0.0.2']),
    node(['Hostname', 'c']),
  ];
  expect(onNodes(nodes)).toEqual({
    names: [],
    ips: ['192.0.2.1', '2001:db8::1', '10.0.0.2'],
    port: 32_379,
    reason: 'node port of the Service, ExternalIP and InternalIP of 2 nodes; connect again if nodes are replaced',
  });
  expect(onNodes([node(['Hostname', 'c'])])).toMatchObject({ problem: 'no node has an address' });
});

test('of many nodes 16 addresses are used', () => {
  const nodes = Array.from({ length: 40 }, (_, index) => node(['InternalIP', `10.0.0.${index + 1}`]));
  const chosen = onNodes(nodes);
  expect(chosen).toMatchObject({ reason: expect.stringContaining('of 40 nodes (the first 16 of 40);') });
  expect('ips' in chosen && chosen.ips).toHaveLength(16);
});
