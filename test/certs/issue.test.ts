import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf, caContentOf } from '../../src/certs/authority.ts';
import { integer, objectIdentifier, sequence, time } from '../../src/certs/der-writer.ts';
import { issueAuthority, issueLeaf, type LeafRequest, type Signer } from '../../src/certs/issue.ts';
import { certificateOf } from '../../src/shared/tls/certificate.ts';
import {
  contentOf,
  elementsOf,
  INTEGER,
  OBJECT_IDENTIFIER,
  objectIdentifier as readIdentifier,
  SEQUENCE,
} from '../../src/shared/tls/der.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { CA, IDENTIFIED, type Issued, Pki } from '../support/tls/pki.ts';

const NOW = Date.now();
const VALIDITY = { notBeforeMs: NOW - 300_000, notAfterMs: NOW + 24 * 3_600_000 };
const SERVER: LeafRequest = {
  commonName: 'clustermesh-apiserver.kube-system.svc',
  dnsNames: ['clustermesh-apiserver.kube-system.svc', '*.mesh.cilium.io'],
  ipAddresses: ['127.0.0.1', '::1', '2001:db8::ff:0', '::ffff:192.0.2.7'],
  usage: 'server',
  ...VALIDITY,
};
const CLIENT: LeafRequest = { commonName: 'admin-east', dnsNames: [], ipAddresses: [], usage: 'client', ...VALIDITY };

function signer({ certificate, key }: { certificate: string; key: string }): Signer {
  return { certificate: certificateOf(Buffer.from(certificate)), key: createPrivateKey(key) };
}

const newCa = () => issueAuthority({ commonName: 'Cilium CA', ...VALIDITY });

describe('DER', () => {
  test('elements of any length are read back as they were written', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 70_000 }), { maxLength: 3 }), (parts) => {
        const [whole, ...more] = elementsOf(sequence(...parts));
        expect(contentOf(whole, SEQUENCE).equals(Buffer.concat(parts))).toBe(true);
        expect(more).toEqual([]);
      }),
      { numRuns: 50 },
    );
  });

  test('integers are positive and as short as can be', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (magnitude) => {
        const content = contentOf(elementsOf(integer(magnitude))[0], INTEGER);
        const value = BigInt(`0x${Buffer.from(magnitude).toString('hex') || '0'}`);
        expect(BigInt(`0x${content.toString('hex')}`)).toBe(value);
        expect(content[0]).toBeLessThan(0x80);
        const isPadded = content.length > 1 && content[0] === 0;
        expect(!isPadded || (content[1] ?? 0) >= 0x80).toBe(true);
      }),
    );
  });

  test.each(['2.5.29.14', '1.3.6.1.5.5.7.3.1', '1.2.840.113549.1.1.11', '2.16.840.1.101.3.4.3.17', '1.3.101.112'])(
    'the identifier %s is read back',
    (identifier) => {
      expect(readIdentifier(contentOf(elementsOf(objectIdentifier(identifier))[0], OBJECT_IDENTIFIER))).toBe(identifier);
    },
  );

  test('years have two digits up to 2049 and four from 2050 on', () => {
    expect(time(Date.UTC(2049, 11, 31, 23, 59, 59, 999)).toString('latin1')).toBe('\u0017\r491231235959Z');
    expect(time(Date.UTC(2050, 0, 1)).toString('latin1')).toBe('\u0018\u000f20500101000000Z');
  });
});

describe('a certificate', () => {
  test('is what was asked for, with key identifiers and the issuer’s name', () => {
    const ca = signer(newCa());
    const leaf = certificateOf(Buffer.from(issueLeaf(SERVER, ca).certificate));
    expect(leaf.commonName).toBe(SERVER.commonName);
    expect(leaf.dnsNames).toEqual(SERVER.dnsNames);
    expect(leaf.addresses).toEqual(['127.0.0.1', '::1', '2001:db8::ff:0', '192.0.2.7']);
    expect(leaf.authorityKeyId).toBe(ca.certificate.subjectKeyId);
    expect(leaf.subjectKeyId).toMatch(/^([\da-f]{2}:){19}[\da-f]{2}$/);
    expect(leaf.x509.checkIssued(ca.certificate.x509)).toBe(true);
    expect(leaf.x509.verify(ca.certificate.x509.publicKey)).toBe(true);
    expect(leaf.x509.ca).toBe(false);
    expect(ca.certificate.x509.ca).toBe(true);
    expect([leaf.notBeforeMs, leaf.notAfterMs]).toEqual(
      [VALIDITY.notBeforeMs, VALIDITY.notAfterMs].map((ms) => ms - (ms % 1_000)),
    );
  });

  test('has a serial number and a key of its own, of 128 random bits and on P-256', () => {
    const ca = signer(newCa());
    const all = Array.from({ length: 64 }, () => issueLeaf(CLIENT, ca));
    const serials = all.map(({ certificate }) => new X509Certificate(certificate).serialNumber);
    expect(new Set(serials).size).toBe(64);
    // Of 64 numbers of 128 bits the largest has its first bits set.
    expect(Math.max(...serials.map((serial) => serial.length))).toBe(32);
    expect(new Set(all.map(({ key }) => key)).size).toBe(64);
    for (const { certificate, key } of all) {
      expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))).toBe(true);
      expect(createPrivateKey(key).asymmetricKeyDetails?.namedCurve).toBe('prime256v1');
    }
  });
});

describe.skipIf(!canMakeCertificates())('by the judgement of openssl (needs the openssl command, version 3)', () => {
  let directory: string;
  let pki: Pki;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'issue-test-'));
    pki = new Pki();
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
    pki[Symbol.dispose]();
  });

  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
  const verify = (ca: string, leaf: string, ...more: string[]) =>
    openssl('verify', '-x509_strict', '-CAfile', file('ca.crt', ca), ...more, file('tls.crt', leaf));

  const KEYS: Readonly<Record<string, () => { key: string; cert: string }>> = {
    'our own': () => {
      const { certificate, key } = newCa();
      return { cert: certificate, key };
    },
    'RSA, as Helm makes it': () =>
      foreignAuthority(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' })),
    'P-384': () =>
      foreignAuthority(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ type: 'sec1', format: 'pem' })),
    'P-521': () =>
      foreignAuthority(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ type: 'pkcs8', format: 'pem' })),
    Ed25519: () => foreignAuthority(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
  const foreignAuthority = (key: string | Buffer): Issued =>
    pki.issue({ name: 'Cilium CA', extensions: [...CA, ...IDENTIFIED], key: key.toString() });

  test.each(Object.keys(KEYS))(
    'certificates of a CA with a key of the kind %s are strictly valid for their purpose alone',
    (kind) => {
      const ca = KEYS[kind]?.() ?? { key: '', cert: '' };
      const own = signer({ certificate: ca.cert, key: ca.key });
      const [server, client] = [issueLeaf(SERVER, own).certificate, issueLeaf(CLIENT, own).certificate];
      expect(verify(ca.cert, server, '-purpose', 'sslserver', '-verify_hostname', 'west.mesh.cilium.io')).toContain('OK');
      expect(verify(ca.cert, server, '-purpose', 'sslserver', '-verify_ip', '2001:db8::ff:0')).toContain('OK');
      expect(verify(ca.cert, client, '-purpose', 'sslclient')).toContain('OK');
      const peer = issueLeaf({ ...SERVER, usage: 'peer' }, own).certificate;
      for (const purpose of ['sslserver', 'sslclient']) expect(verify(ca.cert, peer, '-purpose', purpose)).toContain('OK');
      expect(() => verify(ca.cert, client, '-purpose', 'sslserver')).toThrow(/unsuitable certificate purpose/);
      expect(() => verify(ca.cert, server, '-purpose', 'sslclient')).toThrow(/unsuitable certificate purpose/);
    },
  );

  test('usages are those of Cilium’s certgen', () => {
    const ca = newCa();
    const usages = (certificate: string) =>
      openssl('x509', '-in', file('x.crt', certificate), '-noout', '-ext', 'keyUsage,extendedKeyUsage,basicConstraints')
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '');
    expect(usages(issueLeaf(SERVER, signer(ca)).certificate)).toEqual([
      'X509v3 Key Usage: critical',
      'Digital Signature, Key Encipherment',
      'X509v3 Extended Key Usage:',
      'TLS Web Server Authentication',
      'X509v3 Basic Constraints: critical',
      'CA:FALSE',
    ]);
    expect(usages(issueLeaf(CLIENT, signer(ca)).certificate)).toContain('TLS Web Client Authentication');
    expect(usages(ca.certificate)).toEqual([
      'X509v3 Key Usage: critical',
      'Certificate Sign, CRL Sign',
      'X509v3 Basic Constraints: critical',
      'CA:TRUE',
    ]);
  });

  test('a CA that another one has issued is sent along, and the root is what is trusted', () => {
    const root = pki.authority('Root', IDENTIFIED);
    const issuing = pki.authority('Issuing', IDENTIFIED, root);
    const data = { 'ca.crt': issuing.cert + root.cert, 'ca.key': issuing.key };
    const content = caContentOf({ fullName: 'kube-system/cilium-ca', data });
    expect(content.current.certificate.commonName).toBe('Issuing');
    expect(content.current.intermediates.map(({ commonName }) => commonName)).toEqual(['Issuing']);
    expect(bundleOf(content, []).map(({ commonName }) => commonName)).toEqual(['Root']);
    const leaf = issueLeaf(SERVER, content.current).certificate;
    expect(verify(root.cert, leaf, '-untrusted', file('chain.crt', issuing.cert))).toContain('OK');
  });

  test('of a bundle of authorities the one whose key is there signs, and all are trusted', () => {
    const [old, own] = [pki.authority('Old', IDENTIFIED), pki.authority('Own', IDENTIFIED)];
    const content = caContentOf({
      fullName: 'kube-system/cilium-ca',
      data: { 'ca.crt': old.cert + own.cert, 'ca.key': own.key },
    });
    expect(content.current.certificate.commonName).toBe('Own');
    expect(content.current.intermediates).toEqual([]);
    expect(bundleOf(content, []).map(({ commonName }) => commonName)).toEqual(['Own', 'Old']);
  });

  test('the Secret of a CA that cert-manager keeps is read by its own names', () => {
    const ca = pki.authority('Own', IDENTIFIED);
    const data = { 'ca.crt': ca.cert, 'tls.crt': ca.cert, 'tls.key': ca.key };
    expect(caContentOf({ fullName: 'kube-system/cilium-ca', data }).current.certificate.commonName).toBe('Own');
  });

  test.each([
    ['no key', { 'ca.crt': '' }, /ca.key is missing|ca.crt is missing/],
    [
      'another key',
      { 'ca.key': generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() },
      /ca.key does not match any certificate in ca.crt/,
    ],
    ['a key that is none', { 'ca.key': 'SECRET-TEXT' }, /ca.key is not an unencrypted private key/],
    ['a certificate that is none', { 'ca.crt': 'x' }, /ca.crt: no certificate found/],
  ])('a Secret of a CA with %s is refused without a word of the key', (_, data, message) => {
    const ca = pki.authority('Own', IDENTIFIED);
    const broken = () =>
      caContentOf({ fullName: 'kube-system/cilium-ca', data: { 'ca.crt': ca.cert, 'ca.key': ca.key, ...data } });
    expect(broken).toThrow(message);
    expect(broken).not.toThrow(/SECRET-TEXT/);
    expect(broken).toThrow(/^Secret kube-system\/cilium-ca: /);
  });

  test('a certificate that is no CA cannot sign', () => {
    const leaf = pki.server(pki.authority('Own', IDENTIFIED), IDENTIFIED);
    const data = { 'ca.crt': leaf.cert, 'ca.key': leaf.key };
    expect(() => caContentOf({ fullName: 'a/b', data })).toThrow(/is not a CA certificate/);
  });
});
