import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { convertEndpointSlice, repackedEndpointSlice } from '../../../src/apiserver/converters/endpoint-slice.ts';
import type { EndpointSlice } from '../../../src/shared/kubernetes/objects/types.ts';

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

test('a negative port, which no API validates, is written unchanged', () => {
  expect(message({ ports: [{ port: -1 }] })).toBe(`${HEAD}${IPV4}\x4a\x0b\x18${'\xff'.repeat(9)}\x01`);
});

test('a port of more than 32 bits is skipped and reported', () => {
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

describe('a value that another encoder has packed', () => {
  const endpoints = Array.from({ length: 100 }, (_, index) => ({
    addresses: [`10.0.0.${index}`],
    nodeName: `node-${index % 7}`,
  }));
  const ours = convert({ endpoints }).value;
  const content = zstdDecompressSync(ours);
  const packed = (params: Record<number, number>, pledgedSrcSize?: number) =>
    zstdCompressSync(content, { params, ...(pledgedSrcSize !== undefined && { pledgedSrcSize }) });

  test.each([
    ['at another level', packed({ [constants.ZSTD_c_compressionLevel]: 19 })],
    ['without size and checksum', packed({ [constants.ZSTD_c_checksumFlag]: 0, [constants.ZSTD_c_contentSizeFlag]: 0 })],
    ['not at all, as blocks of the bytes themselves', rawFrame(content)],
    ['as this program does', ours],
  ])('%s is recognised as equal', (_, value) => {
    expect(repackedEndpointSlice(value)).toEqual(ours);
  });

  test('and a different message is not', () => {
    const other = zstdCompressSync(zstdDecompressSync(convert({ endpoints: endpoints.slice(1) }).value));
    expect(repackedEndpointSlice(other)).not.toEqual(ours);
  });

  test.each([
    ['has bytes behind it', Buffer.concat([ours, Buffer.from('x')])],
    ['is there twice', Buffer.concat([ours, ours])],
    ['is cut', ours.subarray(0, -1)],
    ['is damaged', Buffer.concat([ours.subarray(0, -1), Buffer.of((ours.at(-1) ?? 0) ^ 1)])],
    ['is none', Buffer.from('{"cluster":"east"}')],
    ['is empty', Buffer.alloc(0)],
    ['is a bomb', zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))],
  ])('and that %s is left as it is', (_, value) => {
    expect(repackedEndpointSlice(value)).toBe(value);
  });
});

/** A frame of one block that is not compressed, as an encoder may write one: of a content of 256 to 65791 bytes, which it states. */
function rawFrame(content: Buffer): Buffer {
  const size = Buffer.alloc(2);
  size.writeUInt16LE(content.length - 256);
  const block = Buffer.alloc(3);
  block.writeUIntLE((content.length << 3) | 1, 0, 3);
  return Buffer.concat([Buffer.from('28b52ffd60', 'hex'), size, block, content]);
}
