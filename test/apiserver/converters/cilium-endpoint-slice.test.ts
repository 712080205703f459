import { expect, test } from 'vitest';
import { podsOfCiliumEndpointSlice } from '../../../src/apiserver/converters/cilium-endpoint-slice.ts';
import { convertPods } from '../../../src/apiserver/converters/pods.ts';
import type { CiliumEndpointSlice } from '../../../src/shared/kubernetes/objects/types.ts';

const east = { name: 'east', id: 7 };
const convert = (slice: CiliumEndpointSlice) => convertPods(east, podsOfCiliumEndpointSlice(slice));

test('the pods of a slice are exported under the namespace of the slice', () => {
  const { entries, rejected } = convert({
    metadata: { name: 'ces-aa' },
    namespace: 'acre',
    endpoints: [
      {
        name: 'pea-1',
        id: 462001,
        networking: { node: '192.168.90.1', addressing: [{ ipv4: '10.95.0.1', ipv6: 'fd95::1' }] },
        encryption: { key: 6 },
        'named-ports': [{ name: 'x', port: 1, protocol: 'TCP' }],
        'service-account': 'pod',
      },
      { name: 'pea-nonet', id: 462003 },
      { name: 'pea-bad', networking: { addressing: [{ ipv4: 'x' }] } },
    ],
  });
  const rest =
    '"Mask":null,"HostIP":"192.168.90.1","ID":462001,"Key":6,"Metadata":"","K8sNamespace":"acre","K8sPodName":"pea-1",' +
    '"K8sServiceAccount":"pod","NamedPorts":[{"Name":"x","Port":1,"Protocol":"TCP"}]}';
  expect(entries.map(({ key, value }) => [key, Buffer.from(value).toString()])).toEqual([
    ['cilium/state/ip/v1/default/10.95.0.1', `{"IP":"10.95.0.1",${rest}`],
    ['cilium/state/ip/v1/default/fd95::1', `{"IP":"fd95::1",${rest}`],
  ]);
  expect(rejected).toEqual(['pea-bad: networking.addressing: "x" is not an address']);
});

test('a slice without pods exports nothing', () => {
  expect(convert({ metadata: { name: 'ces' }, namespace: 'acre', endpoints: null })).toEqual({
    entries: [],
    rejected: [],
  });
});
