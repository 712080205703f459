import { expect, test } from 'vitest';
import { addressKey } from '../../src/shared/tls/address.ts';
import type { Certificate } from '../../src/shared/tls/certificate.ts';
import { nameVerdict, serverNameOf } from '../../src/shared/tls/server-name.ts';

function certificate(dnsNames: readonly string[], addresses: readonly string[] = [], commonName?: string): Certificate {
  const hasAlternativeNames = dnsNames.length + addresses.length > 0;
  return { dnsNames, addresses: addresses.map(addressKey), hasAlternativeNames, commonName } as unknown as Certificate;
}

/** The result of Go's `VerifyHostname` for a name in a certificate and a host. */
test.each<[string, string, boolean]>([
  ['a.example', 'a.example', true],
  ['a.example', 'A.Example', true],
  ['A.Example', 'a.example', true],
  ['a.example', 'a.example.', true],
  ['a.example.', 'a.example', false],
  ['a.example.', 'a.example.', true],
  ['*.example', 'a.example', true],
  ['*.mesh.example', 'a.mesh.example', true],
  ['*.mesh.example', 'a.mesh.example.', true],
  ['*.mesh.example', 'b.a.mesh.example', false],
  ['*.mesh.example', 'mesh.example', false],
  ['*.mesh.example', '.mesh.example', false],
  ['a*.example', 'ab.example', false],
  ['*', 'a', false],
  ['a.*.example', 'a.b.example', false],
  ['a_b.example', 'a_b.example', true],
  ['-a.example', '-a.example', true],
  ['', '', false],
  ['.', '.', false],
  ['127.0.0.1', '127.0.0.1', false],
  ['a.example\0.evil', 'a.example', false],
])('the name %j covers the host %j: %s', (name, host, isCovered) => {
  expect(nameVerdict(certificate([name]), host)).toBe(isCovered ? 'covered' : 'other');
});

test.each<[string, string, boolean]>([
  ['10.0.0.1', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['10.0.0.1', '::ffff:10.0.0.1', true],
  ['fd00::1', 'FD00:0:0::1', true],
  ['fe80::1', 'fe80::1%eth0', true],
  ['fd00::1', 'fd00::2', false],
])('the address %s covers the host %s: %s', (address, host, isCovered) => {
  expect(nameVerdict(certificate([], [address]), host)).toBe(isCovered ? 'covered' : 'other');
});

test('a common name counts only where there is no alternative name, and never for an address', () => {
  expect(nameVerdict(certificate([], [], 'a.example'), 'a.example')).toBe('legacy');
  expect(nameVerdict(certificate([], [], '*.example'), 'a.example')).toBe('legacy');
  expect(nameVerdict(certificate([], [], 'Mesh CA'), 'Mesh CA')).toBe('other');
  expect(nameVerdict(certificate(['b.example'], [], 'a.example'), 'a.example')).toBe('other');
  expect(nameVerdict(certificate([], [], '10.0.0.1'), '10.0.0.1')).toBe('other');
});

test('addresses are no server names, and names have no dot at their end', () => {
  expect(['a.example', 'a.example.', '10.0.0.1', 'fe80::1%eth0'].map(serverNameOf)).toEqual([
    'a.example',
    'a.example',
    undefined,
    undefined,
  ]);
});
