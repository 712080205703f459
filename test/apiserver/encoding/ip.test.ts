import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { canonicalAddress, parseNetwork } from '../../../src/apiserver/encoding/ip.ts';

describe('an address', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3'],
    ['0.0.0.0', '0.0.0.0'],
    ['fd09:0:0::5', 'fd09::5'],
    ['FE80::1', 'fe80::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['fd94:0000:0000:0000:0000:0000:0000:0006', 'fd94::6'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:0:0:3:4', '1::2:0:0:3:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['::ffff:10.1.1.1', '10.1.1.1'],
    ['::ffff:a01:101', '10.1.1.1'],
    ['::10.1.1.1', '::a01:101'],
    ['64:ff9b::10.1.1.1', '64:ff9b::a01:101'],
  ])('%s is printed as %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test.each([
    '',
    'not-an-ip',
    '10.0.0.300',
    '10.0.0',
    '1',
    '0x0a.1.1.1',
    '010.094.000.005',
    '10.0.0.1/32',
    ' 10.0.0.1',
    '10.0.0.1 ',
    'fe80::1%eth0',
    '1::2::3',
    '12345::',
    '::1.2.3.04',
    '1:2:3:4:5:6:7:8:9',
    '<nil>',
  ])('%j is none', (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });

  test('has the text that a URL has for it, however it is spelled', () => {
    const mapped = /^::ffff:[^:]+:[^:]+$/;
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const inUrl = new URL(`http://[${text}]`).hostname.slice(1, -1);
        fc.pre(!mapped.test(inUrl));
        expect(canonicalAddress(text)).toBe(inUrl);
        expect(canonicalAddress(inUrl)).toBe(inUrl);
      }),
    );
  });
});

describe('a network', () => {
  test.each([
    ['10.71.0.5/24', 'IPv4', '10.71.0.0', '////AA=='],
    ['10.74.0.0/32', 'IPv4', '10.74.0.0', '/////w=='],
    ['0.0.0.0/0', 'IPv4', '0.0.0.0', 'AAAAAA=='],
    ['10.255.0.0/9', 'IPv4', '10.128.0.0', '/4AAAA=='],
    ['fd70::1/64', 'IPv6', 'fd70::', '//////////8AAAAAAAAAAA=='],
    ['FD72:0:0::/112', 'IPv6', 'fd72::', '//////////////////8AAA=='],
  ])('%s is of family %s, begins at %s and has its mask in base64', (text, family, address, mask) => {
    expect(parseNetwork(text)).toEqual({ family, address, mask });
  });

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    'fd70::/129',
    '10.0.0/8',
    '/8',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/104',
  ])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  test('the mask starts where another implementation puts it, and has as many ones as bits', () => {
    const v4 = fc.tuple(fc.ipV4(), fc.nat(32));
    const v6 = fc.tuple(fc.ipV6(), fc.nat(128));
    fc.assert(
      fc.property(fc.oneof(v4, v6), ([address, bits]) => {
        const text = `${canonicalAddress(address)}/${bits}`;
        fc.pre(text.includes(':') || bits <= 32);
        const other = text.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4;
        const network = parseNetwork(text);
        expect(network?.address).toBe(canonicalAddress(other.networkAddressFromCIDR(text).toString()));
        const mask = [...Buffer.from(network?.mask ?? '', 'base64')].map((byte) => byte.toString(2).padStart(8, '0')).join('');
        expect(mask).toBe('1'.repeat(bits).padEnd(mask.length, '0'));
      }),
    );
  });
});
