import { expect, test } from 'vitest';
import { podsOfEndpoint } from '../../../src/apiserver/converters/endpoint.ts';

function podOn(node: number, port: number) {
  const status = {
    networking: { node: `192.0.2.${node}`, addressing: [{ ipv4: '10.90.0.1' }] },
    'service-account': 'a-service-account',
    'named-ports': [{ name: 'http', port, protocol: 'TCP' }],
  };
  return podsOfEndpoint({ metadata: { namespace: 'farm', name: 'hen' }, status }).pods[0];
}

test('pods with equal ports keep one list of them, and others their own', () => {
  expect(podOn(2, 8080)?.namedPorts).toBe(podOn(1, 8080)?.namedPorts);
  expect(podOn(1, 9090)?.namedPorts).toEqual([{ name: 'http', port: 9090, protocol: 'TCP' }]);
});

test('every pod has its own ports where very many differ', () => {
  for (let port = 1; port <= 20_000; port += 1) expect(podOn(1, port)?.namedPorts?.[0]?.port).toBe(port);
  expect(podOn(1, 1)?.namedPorts?.[0]?.port).toBe(1);
});
