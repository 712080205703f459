import { describe, expect, test } from 'vitest';
import { convertNode } from '../../../src/apiserver/converters/node.ts';
import type { CiliumNode } from '../../../src/shared/kubernetes/objects/types.ts';

const east = { name: 'east', id: 7 };

function convert(node: CiliumNode) {
  const { entries, rejected } = convertNode(east, node);
  const [entry] = entries;
  const text = Buffer.from(entry?.value ?? '').toString();
  return { key: entry?.key, text, value: JSON.parse(text) as Record<string, unknown>, rejected };
}

test('a node without a spec has all fields, with nothing in them', () => {
  expect(convert({ metadata: { name: 'n' } })).toMatchObject({
    key: 'cilium/state/nodes/v1/east/n',
    text:
      '{"Name":"n","Cluster":"east","IPAddresses":null,"IPv4AllocCIDR":null,"IPv4SecondaryAllocCIDRs":null,' +
      '"IPv6AllocCIDR":null,"IPv6SecondaryAllocCIDRs":null,"IPv4HealthIP":"","IPv6HealthIP":"","IPv4IngressIP":"",' +
      '"IPv6IngressIP":"","ClusterID":7,"Source":"custom-resource","EncryptionKey":0,"Labels":null,"Annotations":null,' +
      '"WireguardPubKey":"","BootID":""}',
    rejected: [],
  });
});

test('the first pod network of each family is the primary one, the others keep their order', () => {
  const podCIDRs = ['fd50::/112', '10.50.0.0/24', '10.50.1.0/24', 'fd50:1::/112', '10.50.2.0/24'];
  expect(convert({ metadata: { name: 'n' }, spec: { ipam: { podCIDRs } } }).value).toMatchObject({
    IPv4AllocCIDR: { IP: '10.50.0.0', Mask: '////AA==' },
    IPv4SecondaryAllocCIDRs: [
      { IP: '10.50.1.0', Mask: '////AA==' },
      { IP: '10.50.2.0', Mask: '////AA==' },
    ],
    IPv6AllocCIDR: { IP: 'fd50::', Mask: '//////////////////8AAA==' },
    IPv6SecondaryAllocCIDRs: [{ IP: 'fd50:1::', Mask: '//////////////////8AAA==' }],
  });
});

describe('the pod networks of multi-pool IPAM', () => {
  const pool = (...cidrs: string[]) => ({ cidrs });
  const ipv4 = (IP: string, Mask: string) => ({ IP, Mask });

  test('are those of each pool in their order', () => {
    const allocated = [pool('10.207.0.16/28', '10.207.0.32/28', 'fd00:207::10/124'), pool('10.99.4.0/26')];
    expect(convert({ metadata: { name: 'n' }, spec: { ipam: { pools: { allocated } } } }).value).toMatchObject({
      IPv4AllocCIDR: ipv4('10.207.0.16', '////8A=='),
      IPv4SecondaryAllocCIDRs: [ipv4('10.207.0.32', '////8A=='), ipv4('10.99.4.0', '////wA==')],
      IPv6AllocCIDR: { IP: 'fd00:207::10', Mask: '////////////////////8A==' },
      IPv6SecondaryAllocCIDRs: null,
    });
  });

  test('come after those of podCIDRs', () => {
    const ipam = { podCIDRs: ['10.44.0.0/26'], pools: { allocated: [pool('10.207.0.48/28')] } };
    expect(convert({ metadata: { name: 'n' }, spec: { ipam } }).value).toMatchObject({
      IPv4AllocCIDR: ipv4('10.44.0.0', '////wA=='),
      IPv4SecondaryAllocCIDRs: [ipv4('10.207.0.48', '////8A==')],
    });
  });

  test('are of one family where the pools are', () => {
    const allocated = [pool('fd00:1::/120'), pool(), pool('fd00:2::/120'), {}];
    expect(convert({ metadata: { name: 'n' }, spec: { ipam: { podCIDRs: null, pools: { allocated } } } }).value).toMatchObject({
      IPv4AllocCIDR: null,
      IPv4SecondaryAllocCIDRs: null,
      IPv6AllocCIDR: { IP: 'fd00:1::' },
      IPv6SecondaryAllocCIDRs: [{ IP: 'fd00:2::' }],
    });
  });

  test('are none where no pool has any', () => {
    for (const allocated of [null, [], [pool()], [{ cidrs: null }]]) {
      expect(convert({ metadata: { name: 'n' }, spec: { ipam: { pools: { allocated } } } }).value).toMatchObject({
        IPv4AllocCIDR: null,
        IPv6AllocCIDR: null,
      });
    }
  });

  test('are networks whose host bits are cleared, single addresses too, and one that is named twice is there twice', () => {
    const ipam = { podCIDRs: ['10.44.0.9/26'], pools: { allocated: [pool('10.44.0.0/26', '10.1.2.3/32', 'FD00:1::9/120')] } };
    expect(convert({ metadata: { name: 'n' }, spec: { ipam } }).value).toMatchObject({
      IPv4AllocCIDR: ipv4('10.44.0.0', '////wA=='),
      IPv4SecondaryAllocCIDRs: [ipv4('10.44.0.0', '////wA=='), ipv4('10.1.2.3', '/////w==')],
      IPv6AllocCIDR: { IP: 'fd00:1::' },
    });
  });

  test('invalid ones are skipped and reported, the others are exported', () => {
    const allocated = [pool('10.1.0.0', '10.2.0.0/24'), pool('10.3.0.0/33', '10.4.0.0/24')];
    const { value, rejected } = convert({ metadata: { name: 'n' }, spec: { ipam: { pools: { allocated } } } });
    expect(value).toMatchObject({
      IPv4AllocCIDR: { IP: '10.2.0.0' },
      IPv4SecondaryAllocCIDRs: [{ IP: '10.4.0.0' }],
    });
    expect(rejected).toEqual([
      'spec.ipam.pools.allocated: "10.1.0.0" is not a network',
      'spec.ipam.pools.allocated: "10.3.0.0/33" is not a network',
    ]);
  });
});

test('an invalid pod network is skipped and reported, the rest of the node is exported', () => {
  const spec = { ipam: { podCIDRs: ['10.76.0.0', '10.77.0.0/24'] }, addresses: [{ type: 'InternalIP', ip: '192.168.31.2' }] };
  const { value, rejected } = convert({ metadata: { name: 'n' }, spec });
  expect(value).toMatchObject({
    IPAddresses: [{ Type: 'InternalIP', IP: '192.168.31.2' }],
    IPv4AllocCIDR: { IP: '10.77.0.0' },
    IPv4SecondaryAllocCIDRs: null,
  });
  expect(rejected).toEqual(['spec.ipam.podCIDRs: "10.76.0.0" is not a network']);
});

test('names among the addresses are skipped silently, invalid addresses are reported', () => {
  const addresses = [
    { type: 'Hostname', ip: 'n' },
    { type: 'InternalDNS', ip: 'n.internal' },
    { type: 'InternalIP', ip: 'FD10::1' },
    { type: 'InternalIP', ip: 'nonsense' },
    { ip: '192.0.2.1' },
  ];
  const { value, rejected } = convert({ metadata: { name: 'n' }, spec: { addresses } });
  expect(value).toMatchObject({
    IPAddresses: [
      { Type: 'InternalIP', IP: 'fd10::1' },
      { Type: '', IP: '192.0.2.1' },
    ],
  });
  expect(rejected).toEqual(['spec.addresses: "nonsense" is not an address']);
});

test('health and ingress addresses that are none are empty', () => {
  const spec = { health: { ipv4: 'nope', ipv6: 'fd50::c8' }, ingress: { ipv4: '10.50.0.201', ipv6: '' } };
  const { value, rejected } = convert({ metadata: { name: 'n' }, spec });
  expect(value).toMatchObject({ IPv4HealthIP: '', IPv6HealthIP: 'fd50::c8', IPv4IngressIP: '10.50.0.201', IPv6IngressIP: '' });
  expect(rejected).toEqual(['spec.health.ipv4: "nope" is not an address']);
});

test('the WireGuard key is a field of its own and stays among the annotations', () => {
  const annotations = { 'network.cilium.io/wg-pub-key': 'key=', other: 'kept' };
  expect(convert({ metadata: { name: 'n', annotations, labels: { zone: 'z1' } } }).value).toMatchObject({
    WireguardPubKey: 'key=',
    Annotations: annotations,
    Labels: { zone: 'z1' },
  });
});

test.each([
  ['the older name alone', { 'io.cilium.network.wg-pub-key': 'old=' }, 'old='],
  ['both names', { 'io.cilium.network.wg-pub-key': 'old=', 'network.cilium.io/wg-pub-key': 'new=' }, 'new='],
  ['the current name with nothing in it', { 'io.cilium.network.wg-pub-key': 'old=', 'network.cilium.io/wg-pub-key': '' }, ''],
  ['neither', { 'network.cilium.io/other': 'x' }, ''],
])('of the annotations of the WireGuard key the current one goes first: %s', (_, annotations, key) => {
  expect(convert({ metadata: { name: 'n', annotations } }).value).toMatchObject({ WireguardPubKey: key });
});

test.each([
  [255, 255],
  [256, 0],
  [257, 1],
  [-1, 255],
  [2 ** 40 + 3, 3],
  [9_007_199_254_740_993n, 1],
  [-9_223_372_036_854_775_807n, 1],
])('the encryption key %i is cut to its eight bits: %i', (key, exported) => {
  expect(convert({ metadata: { name: 'n' }, spec: { encryption: { key } } }).value).toMatchObject({ EncryptionKey: exported });
});
