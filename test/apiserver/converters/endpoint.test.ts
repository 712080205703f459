import { expect, test } from 'vitest';
import { podsOfEndpoint } from '../../../src/apiserver/converters/endpoint.ts';
import { convertPods } from '../../../src/apiserver/converters/pods.ts';
import type { CiliumEndpoint } from '../../../src/shared/kubernetes/objects/types.ts';

const east = { name: 'east', id: 7 };

function convert(status: CiliumEndpoint['status']) {
  const metadata = { namespace: 'farm', name: 'hen' };
  const { entries, rejected } = convertPods(east, podsOfEndpoint(status === undefined ? { metadata } : { metadata, status }));
  return { entries: entries.map(({ key, value }) => [key, Buffer.from(value).toString()] as const), rejected };
}

const text = (address: string, host = '') =>
  `{"IP":"${address}","Mask":null,"HostIP":"${host}","ID":0,"Key":0,"Metadata":"","K8sNamespace":"farm","K8sPodName":"hen"}`;

test('a full endpoint has every field in its place', () => {
  const { entries } = convert({
    identity: { id: 460001 },
    networking: { node: '192.168.50.1', addressing: [{ ipv4: '10.90.0.1' }] },
    encryption: { key: 4 },
    'service-account': 'coop',
    'named-ports': [{ name: 'http', port: 8080, protocol: 'TCP' }, { port: 0 }],
  });
  expect(entries).toEqual([
    [
      'cilium/state/ip/v1/default/10.90.0.1',
      '{"IP":"10.90.0.1","Mask":null,"HostIP":"192.168.50.1","ID":460001,"Key":4,"Metadata":"","K8sNamespace":"farm",' +
        '"K8sPodName":"hen","K8sServiceAccount":"coop","NamedPorts":[{"Name":"http","Port":8080,"Protocol":"TCP"},' +
        '{"Name":"","Port":0,"Protocol":""}]}',
    ],
  ]);
});

test('every address of every pair has a key of its own, IPv4 first', () => {
  const addressing = [{ ipv6: 'fd90::1', ipv4: '10.90.0.1' }, { ipv4: '' }, { ipv6: 'fd90::2' }];
  expect(convert({ networking: { addressing } }).entries).toEqual([
    ['cilium/state/ip/v1/default/10.90.0.1', text('10.90.0.1')],
    ['cilium/state/ip/v1/default/fd90::1', text('fd90::1')],
    ['cilium/state/ip/v1/default/fd90::2', text('fd90::2')],
  ]);
});

test('an address has one key however it is spelled', () => {
  const addressing = [{ ipv6: 'FD90:0::4' }, { ipv6: '::ffff:10.1.1.1' }];
  expect(convert({ networking: { addressing } }).entries.map(([key]) => key)).toEqual([
    'cilium/state/ip/v1/default/fd90::4',
    'cilium/state/ip/v1/default/10.1.1.1',
  ]);
});

test('addresses in the field of the other family are exported all the same', () => {
  const addressing = [{ ipv4: 'fd94::3', ipv6: '10.94.0.3' }];
  expect(convert({ networking: { addressing } }).entries.map(([key]) => key)).toEqual([
    'cilium/state/ip/v1/default/fd94::3',
    'cilium/state/ip/v1/default/10.94.0.3',
  ]);
});

test('an invalid address is skipped and reported, the others are exported', () => {
  const { entries, rejected } = convert({ networking: { addressing: [{ ipv4: '10.94.0.4/32', ipv6: 'fd90::5' }] } });
  expect(entries).toEqual([['cilium/state/ip/v1/default/fd90::5', text('fd90::5')]]);
  expect(rejected).toEqual(['hen: networking.addressing: "10.94.0.4/32" is not an address']);
});

test('an invalid node address is empty and reported', () => {
  const { entries, rejected } = convert({ networking: { node: 'nonsense', addressing: [{ ipv4: '10.90.0.1' }] } });
  expect(entries).toEqual([['cilium/state/ip/v1/default/10.90.0.1', text('10.90.0.1')]]);
  expect(rejected).toEqual(['hen: networking.node: "nonsense" is not an address']);
});

test.each([
  ['without a status', undefined],
  ['without networking', { identity: { id: 1 } }],
  ['without addresses', { networking: { node: '192.168.50.1', addressing: [] } }],
])('an endpoint %s exports nothing', (_, status) => {
  expect(convert(status)).toEqual({ entries: [], rejected: [] });
});

test.each([
  [2 ** 32 + 5, 5],
  [-1, 4_294_967_295],
  [9_007_199_254_740_993n, 1],
  [9_223_372_036_854_775_807n, 4_294_967_295],
])('the identity %s is cut to its 32 bits: %i', (id, exported) => {
  const { entries } = convert({ identity: { id }, networking: { addressing: [{ ipv4: '10.90.0.1' }] } });
  expect(entries[0]?.[1]).toContain(`"ID":${exported},`);
});

test.each([70_000, 65_536, -1, 0.5, 2 ** 60, Number.POSITIVE_INFINITY])(
  'a named port with the number %s is skipped and reported, and the endpoint with its other ports is exported',
  (port) => {
    const { entries, rejected } = convert({
      networking: { addressing: [{ ipv4: '10.90.0.1', ipv6: 'fd90::1' }] },
      'named-ports': [
        { name: 'odd', port, protocol: 'TCP' },
        { name: 'top', port: 65_535, protocol: 'UDP' },
      ],
    });
    expect(entries).toHaveLength(2);
    for (const [, value] of entries) expect(value).toContain('"NamedPorts":[{"Name":"top","Port":65535,"Protocol":"UDP"}]}');
    expect(rejected).toEqual([`hen: named-ports: ${port} of "odd" is not a port`]);
  },
);

test('an endpoint none of whose named ports is one has none', () => {
  const { entries } = convert({ networking: { addressing: [{ ipv4: '10.90.0.1' }] }, 'named-ports': [{ port: 70_000 }] });
  expect(entries).toEqual([['cilium/state/ip/v1/default/10.90.0.1', text('10.90.0.1')]]);
});
