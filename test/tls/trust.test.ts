/** Which servers are trusted: the rules of Go's programs, which read the same files. */
import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { handshake } from '../../src/shared/tls/handshake.ts';
import { PeerError } from '../../src/shared/tls/peer.ts';
import { TlsFilesError, Trust } from '../../src/shared/tls/trust.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { BARE, CA, dial, HOST, IDENTIFIED, type Issued, Pki, SERVER, withServer } from '../support/tls/pki.ts';
import { until } from '../support/until.ts';

describe.skipIf(!canMakeCertificates())('trust (needs the openssl command, version 3)', () => {
  const pki = new Pki();

  async function shake(chain: readonly Issued[], ca: string, more: { host?: string; strictServerNames?: boolean } = {}) {
    return withServer(chain, async (port) => {
      const { socket, peer } = await handshake({ socket: dial(port), alpn: [], trust: new Trust({ ca }), host: HOST, ...more });
      socket.destroy();
      return peer;
    });
  }
  const bundle = (...authorities: readonly Issued[]) => authorities.map(({ cert }) => cert).join('');
  const isTrusted = (chain: readonly Issued[], ca: string) =>
    shake(chain, ca).then(
      () => true,
      (thrown: unknown) => {
        expect(thrown).toBeInstanceOf(PeerError);
        return false;
      },
    );

  test('case 13: an intermediate authority alone is an anchor, and so is the certificate of the server', async () => {
    const root = pki.authority('Root', IDENTIFIED);
    const intermediate = pki.authority('Issuing', IDENTIFIED, root);
    const server = pki.server(intermediate, IDENTIFIED);
    expect(await isTrusted([server], bundle(intermediate))).toBe(true);
    expect(await isTrusted([server, intermediate], bundle(intermediate))).toBe(true);
    expect(await isTrusted([server, intermediate, root], bundle(intermediate))).toBe(true);
    expect(await isTrusted([server, intermediate], bundle(root))).toBe(true);
    expect(await isTrusted([server], bundle(server))).toBe(true);
    expect(await isTrusted([server], bundle(root))).toBe(false);
  });

  describe.each([
    ['none', BARE, BARE],
    ['both', IDENTIFIED, IDENTIFIED],
    ['those of the authorities alone', ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=none'], BARE],
  ])('two authorities of one name, with key identifiers: %s', (_, ofAuthorities, ofServers) => {
    let old: Issued;
    let renewed: Issued;
    let other: Issued;
    beforeAll(() => {
      [old, renewed, other] = [1, 2, 3].map(() => pki.authority('Cilium CA', ofAuthorities)) as [Issued, Issued, Issued];
    });

    test('servers of both are trusted, in any order, and of no other authority of the name', async () => {
      for (const ca of [bundle(old, renewed), bundle(renewed, old), bundle(renewed, old, renewed)]) {
        for (const issuer of [old, renewed]) {
          const server = pki.server(issuer, ofServers);
          expect(await isTrusted([server], ca)).toBe(true);
          expect(await isTrusted([server, issuer], ca)).toBe(true);
        }
        const foreign = pki.server(other, ofServers);
        expect(await isTrusted([foreign], ca)).toBe(false);
        expect(await isTrusted([foreign, other], ca)).toBe(false);
      }
    });

    test('an intermediate authority of one of them is trusted, in any order', async () => {
      const intermediate = pki.authority('Issuing', ofAuthorities, renewed);
      const server = pki.server(intermediate, ofServers);
      expect(await isTrusted([server, intermediate], bundle(old, renewed))).toBe(true);
      expect(await isTrusted([server, intermediate], bundle(renewed, old))).toBe(true);
      expect(await isTrusted([server, intermediate], bundle(old, other))).toBe(false);
    });
  });

  test("a CA that was renewed with its key is trusted, with any number in the server's certificate", async () => {
    const old = pki.authority('Cilium CA', IDENTIFIED);
    const server = pki.server(old, ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid,issuer:always']);
    const renewed = pki.issue({ name: 'Cilium CA', key: old.key, extensions: [...CA, 'subjectKeyIdentifier=hash'] });
    expect(await isTrusted([server], bundle(renewed))).toBe(true);
    expect(await isTrusted([server], bundle(pki.authority('Cilium CA', IDENTIFIED)))).toBe(false);
  });

  test('an anchor that has expired trusts nothing, and stands in no way', async () => {
    for (const more of [BARE, IDENTIFIED]) {
      const expired = pki.issue({ name: 'Cilium CA', days: -1, extensions: [...CA, ...more] });
      const valid = pki.authority('Cilium CA', more);
      expect(await isTrusted([pki.server(valid, more)], bundle(expired, valid))).toBe(true);
      expect(await isTrusted([pki.server(valid, more)], bundle(valid, expired))).toBe(true);
      expect(await isTrusted([pki.server(expired, more)], bundle(valid, expired))).toBe(false);
      expect(await isTrusted([pki.server(expired, more)], bundle(expired))).toBe(false);
      const renewed = pki.issue({ name: 'Cilium CA', key: expired.key, extensions: [...CA, ...more] });
      expect(await isTrusted([pki.server(expired, more)], bundle(expired, renewed))).toBe(true);
    }
  });

  /** OpenSSL stops at the first CA of the name; what it would have rejected after that is rejected all the same. */
  test('what may not be used for a server is refused also where the search for the issuer is ours', async () => {
    const old = pki.authority('Cilium CA', BARE);
    const ca = pki.authority('Cilium CA', BARE);
    const both = bundle(old, ca);
    const server = (extensions: readonly string[], days = 2) =>
      pki.issue({ name: 'etcd', issuer: ca, extensions: [...extensions, ...BARE], days });
    const alternative = `subjectAltName=DNS:${HOST}`;
    expect(await isTrusted([server([alternative])], both)).toBe(true);
    expect(await isTrusted([server(SERVER, -1)], both)).toBe(false);
    expect(await isTrusted([server([alternative, 'extendedKeyUsage=clientAuth'])], both)).toBe(false);
    expect(await isTrusted([server([alternative, 'keyUsage=critical,cRLSign'])], both)).toBe(false);
    expect(await isTrusted([server([alternative, '1.2.3.4=critical,ASN1:NULL'])], both)).toBe(false);
    const noAuthority = server(SERVER);
    expect(await isTrusted([pki.server(noAuthority, BARE), noAuthority], both)).toBe(false);
    const mayNotSign = pki.issue({
      name: 'I',
      issuer: ca,
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=cRLSign', ...BARE],
    });
    expect(await isTrusted([pki.server(mayNotSign, BARE), mayNotSign], both)).toBe(false);
    const constrained = pki.authority('I', [...BARE, 'nameConstraints=critical,permitted;DNS:other.test'], ca);
    expect(await isTrusted([pki.server(constrained, BARE), constrained], both)).toBe(false);
    const forClients = pki.authority('I', [...BARE, 'extendedKeyUsage=clientAuth'], ca);
    expect(await isTrusted([pki.server(forClients, BARE), forClients], both)).toBe(false);
  });

  test('an authority that may have none below it has none', async () => {
    const short = ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign', ...BARE];
    const [old, ca] = [1, 2].map(() => pki.issue({ name: 'Cilium CA', extensions: short })) as [Issued, Issued];
    expect(await isTrusted([pki.server(ca, BARE)], bundle(old, ca))).toBe(true);
    const below = pki.authority('Below', BARE, ca);
    expect(await isTrusted([pki.server(below, BARE), below], bundle(old, ca))).toBe(false);
  });

  test('certificates are found in a file with any other content', async () => {
    const ca = pki.authority('Mesh', IDENTIFIED);
    const other = pki.authority('Other', IDENTIFIED);
    const server = pki.server(ca, IDENTIFIED);
    const trusted = ca.cert.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE');
    const texts = [
      `\ufeff${ca.cert}`,
      bundle(other, ca).replaceAll('\n', '\r\n'),
      `subject=CN = Mesh\n${ca.cert.trimEnd()}junk\n# a comment\n${other.cert}`,
      `${other.key}${ca.cert}${other.cert}`,
      ca.cert.repeat(3),
      trusted,
    ];
    for (const text of texts) expect(await isTrusted([server], text), text).toBe(true);
    expect(() => new Trust({ ca: ca.key })).toThrow(TlsFilesError);
    expect(() => new Trust({ ca: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n' })).toThrow(TlsFilesError);
  });

  test('a certificate that has its name in the common name alone is accepted with a warning, or refused where names are strict', async () => {
    const ca = pki.authority('Mesh', IDENTIFIED);
    const legacy = pki.issue({ name: HOST, issuer: ca, extensions: ['basicConstraints=CA:FALSE', ...IDENTIFIED] });
    expect(new X509Certificate(legacy.cert).subjectAltName).toBeUndefined();
    expect((await shake([legacy], ca.cert)).hasLegacyName).toBe(true);
    await expect(shake([legacy], ca.cert, { strictServerNames: true })).rejects.toThrow(
      /only in (?:its|the) common name.*alternative name/,
    );
    await expect(shake([legacy], ca.cert, { host: 'other.test' })).rejects.toThrow(/ERR_TLS_CERT_ALTNAME_INVALID/);
    await expect(shake([legacy], ca.cert, { host: '127.0.0.1' })).rejects.toThrow(/ERR_TLS_CERT_ALTNAME_INVALID/);
    expect((await shake([pki.server(ca, IDENTIFIED)], ca.cert, { strictServerNames: true })).hasLegacyName).toBe(false);
  });

  test('case 15: the dot of an absolute name is neither sent nor compared', async () => {
    const ca = pki.authority('Mesh', IDENTIFIED);
    await withServer([pki.server(ca, IDENTIFIED)], async (port, serverNames) => {
      const options = { alpn: [], trust: new Trust({ ca: ca.cert }), host: `${HOST}.` };
      const { socket } = await handshake({ ...options, socket: dial(port) });
      await until('the server has seen the name', () => serverNames.length === 1);
      socket.destroy();
      expect(serverNames).toEqual([HOST]);
    });
  });
});
