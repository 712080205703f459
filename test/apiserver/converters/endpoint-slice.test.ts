import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { convertEndpointSlice } from '../../../src/apiserver/converters/endpoint-slice.ts';
import type { EndpointSlice } from '../../../src/shared/k8s/types.ts';

const east = { name: 'east', id: 7 };

function convert(slice: Partial<EndpointSlice>) {
  const metadata = { namespace: 'shop', name: 'web-1' };
  const [entry] = convertEndpointSlice(east, { metadata, addressType: 'IPv4', ...slice }).entries;
  return { key: entry?.key, value: Buffer.from(entry?.value ?? '') };
}

const message = (slice: Partial<EndpointSlice>) => zstdDecompressSync(convert(slice).value).toString('latin1');

const HEAD = '\x0a\x04east\x10\x07\x1a\x04shop\x22\x05web-1';
const IPV4 = '\x3a\x04IPv4';

test('the value is a zstd frame that states its size and ends with a checksum', () => {
  const { key, value } = convert({});
  expect(key).toBe('cilium/state/endpointslices/v1/east/shop/web-1');
  expect(value.subarray(0, 4).toString('hex')).toBe('28b52ffd');
  const descriptor = value[4] ?? 0;
  expect(descriptor & 0b100).toBe(0b100);
  expect(descriptor & 0b100000).toBe(0b100000);
  expect(value[5]).toBe((HEAD + IPV4).length);
});

test('a bare slice is its name and its address type', () => {
  expect(message({})).toBe(HEAD + IPV4);
});

test('conditions are always there, and each of them only where it is set, true or false', () => {
  const endpoints = [
    { addresses: ['10.0.0.1'] },
    { addresses: ['10.0.0.2'], conditions: { ready: false, terminating: true } },
    { addresses: ['10.0.0.3'], conditions: { serving: true } },
  ];
  expect(message({ endpoints })).toBe(
    `${HEAD}${IPV4}\x42\x0c\x0a\x0810.0.0.1\x12\x00\x42\x10\x0a\x0810.0.0.2\x12\x04\x08\x00\x18\x01\x42\x0e\x0a\x0810.0.0.3\x12\x02\x10\x01`,
  );
});

test('what is known of an endpoint follows its conditions; empty hints are hints', () => {
  const endpoints = [
    { addresses: ['a', 'b'], hostname: 'h', nodeName: 'n', zone: 'z', hints: { forZones: [{ name: 'y' }] } },
    { addresses: ['c'], hints: {} },
  ];
  expect(message({ endpoints })).toBe(
    `${HEAD}${IPV4}\x42\x18\x0a\x01a\x0a\x01b\x12\x00\x1a\x01h\x32\x01n\x3a\x01z\x42\x05\x0a\x03\x0a\x01y\x42\x07\x0a\x01c\x12\x00\x42\x00`,
  );
});

test('a port has what is set of it, an empty name too', () => {
  const ports = [{ name: '', protocol: 'TCP', port: 8080 }, { name: 'p', appProtocol: 'h' }, { port: 0 }];
  expect(message({ ports })).toBe(
    `${HEAD}${IPV4}\x4a\x0a\x0a\x00\x12\x03TCP\x18\x90\x3f\x4a\x06\x0a\x01p\x22\x01h\x4a\x02\x18\x00`,
  );
});

test('a negative port, which nobody validates, is written as the number it is', () => {
  expect(message({ ports: [{ port: -1 }] })).toBe(`${HEAD}${IPV4}\x4a\x0b\x18${'\xff'.repeat(9)}\x01`);
});

test('a port of more than 32 bits is left out and told', () => {
  const ports = [{ name: 'a', port: 2 ** 31 }, { port: 0.5 }, { port: 0 }];
  expect(message({ ports })).toBe(`${HEAD}${IPV4}\x4a\x02\x18\x00`);
  const slice = { metadata: { namespace: 'shop', name: 'web-1' }, addressType: 'IPv4', ports };
  expect(convertEndpointSlice(east, slice).rejected).toEqual([
    'ports: 2147483648 of "a" is not an integer of 32 bits',
    'ports: 0.5 of "" is not an integer of 32 bits',
  ]);
});

test('the older field of topology travels, sorted by name', () => {
  const endpoints = [{ addresses: ['c'], deprecatedTopology: { b: '2', a: '' }, nodeName: 'n' }];
  expect(message({ endpoints })).toBe(
    `${HEAD}${IPV4}\x42\x17\x0a\x01c\x12\x00\x2a\x05\x0a\x01a\x12\x00\x2a\x06\x0a\x01b\x12\x012\x32\x01n`,
  );
});

test('labels and annotations are sorted by name', () => {
  const metadata = { namespace: 'shop', name: 'web-1', labels: { b: '2', '10': '1' }, annotations: { z: '' } };
  expect(message({ metadata })).toBe(
    `${HEAD}\x2a\x07\x0a\x0210\x12\x011\x2a\x06\x0a\x01b\x12\x012\x32\x05\x0a\x01z\x12\x00${IPV4}`,
  );
});

test('text is UTF-8, and lengths count its bytes', () => {
  const metadata = { namespace: 'shop', name: 'web-1', annotations: { b: 'ü' } };
  expect(message({ metadata })).toBe(`${HEAD}\x32\x07\x0a\x01b\x12\x02\xc3\xbc${IPV4}`);
});

test('equal slices are equal bytes', () => {
  expect(convert({ endpoints: [{ addresses: ['10.0.0.1'] }] }).value).toEqual(
    convert({ endpoints: [{ addresses: ['10.0.0.1'] }] }).value,
  );
});

test.each(['FQDN', '', 'IPv5'])('a slice of type %j is not exported, as no reader takes it', (addressType) => {
  expect(convertEndpointSlice(east, { metadata: { name: 's', namespace: 'shop' }, addressType }).entries).toEqual([]);
});
