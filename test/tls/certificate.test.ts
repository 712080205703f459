import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CertificateError, certificateOf, certificatesOf, goTime } from '../../src/shared/tls/certificate.ts';
import { DerError, elementsOf, objectIdentifier } from '../../src/shared/tls/der.ts';
import { distinguishedName } from '../../src/shared/tls/distinguished-name.ts';
import { CertificateDirectory, canMakeCertificates } from '../support/tls/certificates.ts';

describe('DER', () => {
  test('elements have their tag and content, in short and long form', () => {
    const long = Buffer.concat([Buffer.from([0x04, 0x81, 0x80]), Buffer.alloc(128, 7)]);
    expect(elementsOf(Buffer.concat([Buffer.from([0x02, 0x01, 0x05]), long]))).toEqual([
      { tag: 0x02, content: Buffer.from([5]) },
      { tag: 0x04, content: Buffer.alloc(128, 7) },
    ]);
    expect(elementsOf(Buffer.alloc(0))).toEqual([]);
  });

  test.each([
    ['no length', [0x30]],
    ['an end behind the container', [0x30, 0x02, 0x00]],
    ['a length without an end', [0x30, 0x80, 0x00, 0x00]],
    ['a length of five octets', [0x30, 0x85, 0, 0, 0, 0, 1, 0]],
    ['a length that is cut off', [0x30, 0x82, 0x01]],
    ['a length of four gigabytes', [0x30, 0x84, 0xff, 0xff, 0xff, 0xff]],
    ['a tag of several octets', [0x3f, 0x81, 0x01, 0x00]],
  ])('%s is refused', (_, bytes) => {
    expect(() => elementsOf(Buffer.from(bytes))).toThrow(DerError);
  });

  test('object identifiers are read, also with arcs of several octets', () => {
    expect(objectIdentifier(Buffer.from([0x55, 0x1d, 0x0e]))).toBe('2.5.29.14');
    expect(objectIdentifier(Buffer.from('2a864886f70d010901', 'hex'))).toBe('1.2.840.113549.1.9.1');
    expect(() => objectIdentifier(Buffer.from([0x55, 0x80]))).toThrow(DerError);
    expect(() => objectIdentifier(Buffer.alloc(0))).toThrow(DerError);
    expect(() => objectIdentifier(Buffer.alloc(100, 0x81))).toThrow(DerError);
  });

  test('any bytes are either read or refused', () => {
    const attempt = (bytes: Buffer) => {
      try {
        for (const element of elementsOf(bytes)) distinguishedName(element);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(DerError);
      }
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => attempt(Buffer.from(bytes))),
      { numRuns: 3_000 },
    );
  });
});

describe.skipIf(!canMakeCertificates())('certificates (needs the openssl command, version 3)', () => {
  const directory = new CertificateDirectory();
  let pem: string;
  let odd: string;
  beforeAll(() => {
    const { certFile } = directory
      .authority('mesh')
      .issue({ name: 'etcd', alternatives: ['DNS:*.mesh.test', 'IP:10.0.0.1', 'IP:fd00::1', 'URI:spiffe://x/y', 'email:a@b.c'] });
    pem = readFileSync(certFile, 'utf8');
    odd = join(directory.path, 'odd.crt');
    const subject = '/C=DE/O=Ex, ample/O=Two/CN=first/CN= #second /OU=a\\+b/emailAddress=a@b.c/serialNumber=5';
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', join(directory.path, 'odd.key')];
    execFileSync('openssl', ['req', '-x509', '-utf8', '-set_serial', '0x00ff01', '-subj', subject, ...key, '-out', odd], {
      stdio: 'pipe',
    });
  });

  const told = (certificate: string, ...what: readonly string[]) =>
    execFileSync('openssl', ['x509', '-noout', ...what], { input: certificate, encoding: 'utf8' });

  test('numbers and key IDs are those that openssl prints', () => {
    const [certificate] = certificatesOf(pem);
    expect(certificate?.serialNumber.replaceAll(':', '').toUpperCase()).toBe(told(pem, '-serial').trim().replace('serial=', ''));
    const extensions = told(pem, '-ext', 'subjectKeyIdentifier,authorityKeyIdentifier').toLowerCase();
    expect(extensions).toContain(certificate?.subjectKeyId);
    expect(extensions).toContain(certificate?.authorityKeyId);
    expect(certificate?.subjectKeyId).not.toBe(certificate?.authorityKeyId);
    const [oddOne] = certificatesOf(readFileSync(odd, 'utf8'));
    expect(oddOne?.serialNumber).toBe('ff:01');
  });

  test('alternative names are listed in their order', () => {
    expect(certificatesOf(pem)[0]?.alternativeNames).toEqual(['*.mesh.test', '10.0.0.1', 'fd00::1', 'spiffe://x/y', 'a@b.c']);
  });

  test('names are written as Go writes them: order, escapes, several values, unknown attributes', () => {
    const [certificate] = certificatesOf(readFileSync(odd, 'utf8'));
    expect(certificate?.subject).toBe(
      'SERIALNUMBER=5,CN=\\ #second\\ ,OU=a\\+b,O=Ex\\, ample+O=Two,C=DE,1.2.840.113549.1.9.1=#0c056140622e63',
    );
    expect(certificate?.commonName).toBe(' #second ');
  });

  test('times are those of the certificate', () => {
    const [certificate] = certificatesOf(pem);
    const notBefore = told(pem, '-startdate', '-dateopt', 'iso_8601').trim().replace('notBefore=', '').replace('Z', '');
    expect(goTime(certificate?.notBeforeMs ?? 0)).toBe(`${notBefore} +0000 UTC`);
  });

  test('a bundle has all of its certificates, with any text between them', () => {
    expect(certificatesOf(`# one\n${pem}\n# two\n${readFileSync(odd, 'utf8')}`)).toHaveLength(2);
    expect(() => certificatesOf('nothing')).toThrow(new CertificateError('no certificate found'));
    expect(() => certificatesOf('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----')).toThrow(CertificateError);
  });

  test('a certificate with flipped bytes is either read or refused', () => {
    const [certificate] = certificatesOf(pem);
    const der = certificate?.x509.raw ?? Buffer.alloc(0);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(der.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const bytes = Buffer.from(der);
        for (const [at, value] of changes) bytes[at] = value;
        try {
          certificateOf(bytes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(CertificateError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
