import { describe, expect, test } from 'vitest';
import { convertService } from '../../../src/apiserver/converters/service.ts';
import type { EndpointSlice, Service, SliceEndpoint, SlicePort } from '../../../src/shared/k8s/types.ts';

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

  test('an address that is none is left out and told', () => {
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
    'ready %s, serving %s, terminating %s: kept unless the first two are false',
    (isReady, isServing, isTerminating) => {
      const conditions = {
        ...(isReady === undefined ? {} : { ready: isReady }),
        ...(isServing === undefined ? {} : { serving: isServing }),
        ...(isTerminating === undefined ? {} : { terminating: isTerminating }),
      };
      const { value } = convert(service(), slice('s', [{ addresses: ['10.9.0.1'], conditions }]));
      expect(Object.keys(value.backends as object)).toHaveLength(isReady === false && isServing === false ? 0 : 1);
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

  test('of an address in two slices the later slice gives the ports, and a hostname of the earlier one survives', () => {
    const one = slice('a', [{ addresses: ['10.9.0.1'], hostname: 'h', zone: 'z' }], [{ name: 'p', port: 81 }]);
    const two = slice('b', [{ addresses: ['10.9.0.1'] }], [{ name: 'q', port: 82 }]);
    expect(convert(service(), one, two).value).toMatchObject({
      backends: { '10.9.0.1': { q: { Protocol: 'TCP', Port: 82 } } },
      hostnames: { '10.9.0.1': 'h' },
      zones: { '10.9.0.1': { zone: 'z', forZones: [] } },
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

  test('a slice of names gives none', () => {
    const names = slice('s', [{ addresses: ['node.example.org'] }], HTTP, 'FQDN');
    expect(convert(service(), names)).toMatchObject({ value: { backends: {} }, rejected: [] });
  });

  test('an address that is none is left out and told with the name of its slice', () => {
    const { value, rejected } = convert(service(), slice('web-x1', [{ addresses: ['x', '10.9.0.1'] }]));
    expect(Object.keys(value.backends as object)).toEqual(['10.9.0.1']);
    expect(rejected).toEqual(['EndpointSlice web-x1: "x" is not an address']);
  });
});
