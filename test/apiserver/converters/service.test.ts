import { describe, expect, test } from 'vitest';
import { convertService } from '../../../src/apiserver/converters/service.ts';
import type { EndpointSlice, Service, SliceEndpoint, SlicePort } from '../../../src/shared/kubernetes/objects/types.ts';

const east = { name: 'east', id: 7 };
const HTTP = [{ name: 'http', protocol: 'TCP', port: 80 }];

function service(spec: Service['spec'] = {}, labels: Record<string, string> = {}): Service {
  return { metadata: { namespace: 'shop', name: 'web', labels }, spec: { clusterIP: '10.96.7.7', ports: HTTP, ...spec } };
}

function slice(name: string, endpoints: SliceEndpoint[], ports: SlicePort[] = HTTP, addressType = 'IPv4'): EndpointSlice {
  return { metadata: { namespace: 'shop', name }, addressType, endpoints, ports };
}

function convert(object: Service, ...slices: EndpointSlice[]) {
  const { entries, rejected } = convertService(east, object, slices);
  const text = Buffer.from(entries[0]?.value ?? '').toString();
  return { key: entries[0]?.key, text, value: JSON.parse(text) as Record<string, unknown>, rejected };
}

test('a dual-stack service has every field in its place', () => {
  const object = service({ clusterIPs: ['fd00:96::77', '10.96.7.7'], selector: { app: 'web' } }, { app: 'web' });
  const four = slice('web-4', [{ addresses: ['10.9.0.21'], hostname: 'h1' }]);
  const six = slice('web-6', [{ addresses: ['fd09::21'], zone: 'z-a' }], HTTP, 'IPv6');
  expect(convert(object, four, six)).toMatchObject({
    key: 'cilium/state/services/v1/east/shop/web',
    text:
      '{"cluster":"east","namespace":"shop","name":"web",' +
      '"frontends":{"10.96.7.7":{"http":{"Protocol":"TCP","Port":80}},"fd00:96::77":{"http":{"Protocol":"TCP","Port":80}}},' +
      '"backends":{"10.9.0.21":{"http":{"Protocol":"TCP","Port":80}},"fd09::21":{"http":{"Protocol":"TCP","Port":80}}},' +
      '"hostnames":{"10.9.0.21":"h1"},"zones":{"fd09::21":{"zone":"z-a","forZones":[]}},' +
      '"labels":{"app":"web"},"selector":{"app":"web"},"includeExternal":true,"shared":true,"clusterID":7}',
    rejected: [],
  });
});

describe('frontends', () => {
  test.each([
    ['by its address', service({ clusterIP: 'None', clusterIPs: ['None'] })],
    ['by its address in any spelling', service({ clusterIP: 'none' })],
    ['by its label, whatever the value', service({}, { 'service.kubernetes.io/headless': '' })],
  ])('a service that is headless %s has none, and its backends stay', (_, object) => {
    expect(convert(object, slice('s', [{ addresses: ['10.9.0.1'] }])).value).toMatchObject({
      frontends: {},
      backends: { '10.9.0.1': { http: { Protocol: 'TCP', Port: 80 } } },
    });
  });

  test('a service without an address has none, rather than one that is empty', () => {
    const object: Service = { metadata: { namespace: 'shop', name: 'web' }, spec: { type: 'ExternalName', ports: HTTP } };
    expect(convert(object)).toMatchObject({ value: { frontends: {} }, rejected: [] });
  });

  test('an invalid address is skipped and reported', () => {
    const { value, rejected } = convert(service({ clusterIPs: ['10.96.7.7', 'x'] }));
    expect(Object.keys(value.frontends as object)).toEqual(['10.96.7.7']);
    expect(rejected).toEqual(['spec.clusterIPs: "x" is not an address']);
  });

  test('of ports with one name the last holds, a port without a name has the empty one, and one without a protocol is TCP', () => {
    const ports = [{ port: 1 }, { name: 'dns', protocol: 'UDP', port: 53 }, { name: 'dns', protocol: 'TCP', port: 54 }];
    expect(convert(service({ ports })).value).toMatchObject({
      frontends: { '10.96.7.7': { '': { Protocol: 'TCP', Port: 1 }, dns: { Protocol: 'TCP', Port: 54 } } },
    });
  });

  test('an invalid port is skipped and reported, of frontends and backends', () => {
    const ports = [
      { name: 'a', port: 70_000 },
      { name: 'b', port: 80 },
    ];
    const { value, rejected } = convert(service({ ports }), slice('s', [{ addresses: ['10.9.0.1'] }], [{ name: 'c', port: -1 }]));
    expect(value).toMatchObject({
      frontends: { '10.96.7.7': { b: { Protocol: 'TCP', Port: 80 } } },
      backends: { '10.9.0.1': {} },
    });
    expect(Object.keys((value.frontends as Record<string, object>)['10.96.7.7'] ?? {})).toEqual(['b']);
    expect(rejected.toSorted()).toEqual([
      'EndpointSlice s: ports: -1 of "c" is not a port',
      'spec.ports: 70000 of "a" is not a port',
    ]);
  });

  test('ports named like numbers are in the order of their bytes', () => {
    const ports = [
      { name: 'b', port: 1 },
      { name: '9', port: 2 },
      { name: '10', port: 3 },
    ];
    const names = [...convert(service({ ports })).text.matchAll(/"([^"]*)":\{"Protocol"/g)].map(([, name]) => name);
    expect(names).toEqual(['10', '9', 'b']);
  });
});

describe('backends', () => {
  const ready = [true, false, undefined];
  const cases = ready.flatMap((isReady) =>
    ready.flatMap((isServing) => ready.map((isTerminating) => [isReady, isServing, isTerminating] as const)),
  );
  test.each(cases)(
    'ready %s, serving %s, terminating %s: kept where it is ready, or serving in so many words',
    (isReady, isServing, isTerminating) => {
      const conditions = {
        ...(isReady === undefined ? {} : { ready: isReady }),
        ...(isServing === undefined ? {} : { serving: isServing }),
        ...(isTerminating === undefined ? {} : { terminating: isTerminating }),
      };
      const { value } = convert(service(), slice('s', [{ addresses: ['10.9.0.1'], conditions }]));
      expect(Object.keys(value.backends as object)).toHaveLength(isReady === false && isServing !== true ? 0 : 1);
    },
  );

  test('every address of an endpoint is one, with its hostname', () => {
    const { value } = convert(service(), slice('s', [{ addresses: ['10.9.0.2', '10.9.0.1'], hostname: 'h' }]));
    expect(value).toMatchObject({
      backends: { '10.9.0.1': {}, '10.9.0.2': {} },
      hostnames: { '10.9.0.1': 'h', '10.9.0.2': 'h' },
    });
  });

  test('a port without a number is left out, and a slice without ports gives backends without ports', () => {
    const one = slice('a', [{ addresses: ['10.9.0.1'] }], []);
    const two = slice('b', [{ addresses: ['10.9.0.2'] }], [{ name: 'p' }, { name: 'q', port: 90 }]);
    expect(convert(service(), one, two).value.backends).toEqual({
      '10.9.0.1': {},
      '10.9.0.2': { q: { Protocol: 'TCP', Port: 90 } },
    });
  });

  test('an address in several slices has the ports of all of them, of equal names that of the later slice', () => {
    const one = slice('a', [{ addresses: ['10.9.0.1'], hostname: 'h', zone: 'z' }], [{ name: 'p', port: 81 }]);
    const two = slice('b', [{ addresses: ['10.9.0.1', '10.9.0.2'] }], [{ name: 'q', port: 82, protocol: 'UDP' }]);
    const three = slice('c', [{ addresses: ['10.9.0.1'] }], [{ name: 'p', port: 83 }]);
    expect(convert(service(), one, two, three).value).toMatchObject({
      backends: {
        '10.9.0.1': { p: { Protocol: 'TCP', Port: 83 }, q: { Protocol: 'UDP', Port: 82 } },
        '10.9.0.2': { q: { Protocol: 'UDP', Port: 82 } },
      },
      hostnames: { '10.9.0.1': 'h' },
      zones: { '10.9.0.1': { zone: 'z', forZones: [] } },
    });
  });

  test('a slice in which an address does not serve gives it no ports', () => {
    const one = slice('a', [{ addresses: ['10.9.0.1'] }], [{ name: 'p', port: 81 }]);
    const two = slice('b', [{ addresses: ['10.9.0.1'], conditions: { ready: false } }], [{ name: 'q', port: 82 }]);
    expect(convert(service(), one, two).value.backends).toEqual({ '10.9.0.1': { p: { Protocol: 'TCP', Port: 81 } } });
  });

  describe('an address that a slice names twice', () => {
    const address = '10.9.0.1';
    const ready = { ready: true, serving: true, terminating: false };
    const gone = { ready: false, serving: false, terminating: true };
    const draining = { ready: false, serving: true, terminating: true };
    const named = (conditions: object, hostname?: string, zone?: string) => ({
      addresses: [address],
      conditions,
      ...(hostname && { hostname }),
      ...(zone && { zone }),
    });
    const known = (...endpoints: SliceEndpoint[]) => {
      const {
        backends,
        hostnames = {},
        zones = {},
      } = convert(service(), slice('s', endpoints)).value as {
        backends: object;
        hostnames?: Record<string, string>;
        zones?: Record<string, { zone: string }>;
      };
      return [Object.keys(backends), hostnames[address], zones[address]?.zone];
    };

    test.each<readonly [string, SliceEndpoint[], unknown[]]>([
      [
        'serves while one of them does, with what is known of that one',
        [named(ready, 'new', 'z-a'), named(gone, 'old', 'z-b')],
        [[address], 'new', 'z-a'],
      ],
      ['knows nothing of one that is gone', [named(ready), named(gone, 'old', 'z-b')], [[address], undefined, undefined]],
      [
        'keeps what is known of one of two that serve alike',
        [named({ ready: true }, 'new', 'z-a'), named({ ready: true })],
        [[address], 'new', 'z-a'],
      ],
      ['is called as the last of two that serve alike', [named(ready, 'a'), named(ready, 'b')], [[address], 'b', undefined]],
      [
        'is called as the one that does not drain',
        [named(ready, 'new'), named(draining, 'old', 'z')],
        [[address], 'new', undefined],
      ],
      [
        'is called as the one that does not end, of two that are ready',
        [named({ ...ready, terminating: true }, 'old'), named(ready, 'new'), named({ ...ready, terminating: true }, 'older')],
        [[address], 'new', undefined],
      ],
      ['serves while one drains', [named(gone, 'new'), named(draining, 'old')], [[address], 'old', undefined]],
      ['serves no traffic if neither does', [named(gone, 'new'), named({ ready: false }, 'old')], [[], undefined, undefined]],
    ])('%s', (_, endpoints, expected) => {
      expect(known(...endpoints)).toEqual(expected);
      if (!endpoints.some(({ hostname }) => hostname === 'b')) expect(known(...endpoints.toReversed())).toEqual(expected);
    });
  });

  test('zones carry their hints; hints without a zone are lost', () => {
    const endpoints = [
      { addresses: ['10.9.0.1'], zone: 'z-b', hints: { forZones: [{ name: 'z-c' }, { name: 'z-b' }] } },
      { addresses: ['10.9.0.2'], hints: { forZones: [{ name: 'z-d' }] } },
    ];
    expect(convert(service(), slice('s', endpoints)).value.zones).toEqual({
      '10.9.0.1': { zone: 'z-b', forZones: [{ name: 'z-c' }, { name: 'z-b' }] },
    });
  });

  test('a zone that is not set is that of the older field of topology; an empty one is none', () => {
    const deprecatedTopology = { 'topology.kubernetes.io/zone': 'z-old', 'kubernetes.io/hostname': 'n' };
    const endpoints = [
      { addresses: ['10.9.0.1'], deprecatedTopology },
      { addresses: ['10.9.0.2'], deprecatedTopology, zone: 'z-new' },
      { addresses: ['10.9.0.3'], deprecatedTopology, zone: '' },
      { addresses: ['10.9.0.4'], deprecatedTopology: { 'topology.kubernetes.io/region': 'r' } },
    ];
    expect(convert(service(), slice('s', endpoints)).value.zones).toEqual({
      '10.9.0.1': { zone: 'z-old', forZones: [] },
      '10.9.0.2': { zone: 'z-new', forZones: [] },
    });
  });

  test('a protocol that is none costs its port', () => {
    const ports = [
      { name: 'a', port: 81, protocol: 'ICMP' },
      { name: 'b', port: 82, protocol: 'SCTP' },
    ];
    const { value, rejected } = convert(service(), slice('s', [{ addresses: ['10.9.0.1'] }], ports));
    expect(value.backends).toEqual({ '10.9.0.1': { b: { Protocol: 'SCTP', Port: 82 } } });
    expect(rejected).toEqual(['EndpointSlice s: ports: "ICMP" of "a" is not a protocol']);
  });

  test('a slice of names gives none', () => {
    const names = slice('s', [{ addresses: ['node.example.org'] }], HTTP, 'FQDN');
    expect(convert(service(), names)).toMatchObject({ value: { backends: {} }, rejected: [] });
  });

  test('an invalid address is skipped and reported with the name of its slice', () => {
    const { value, rejected } = convert(service(), slice('web-x1', [{ addresses: ['x', '10.9.0.1'] }]));
    expect(Object.keys(value.backends as object)).toEqual(['10.9.0.1']);
    expect(rejected).toEqual(['EndpointSlice web-x1: "x" is not an address']);
  });
});
