import { createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type JudgementRules, judge, type Material } from '../../src/certs/findings.ts';
import { issueAuthority, issueLeaf, type LeafRequest, type Signer } from '../../src/certs/issue.ts';
import { type ProfileName, profilesOf } from '../../src/certs/profiles.ts';
import { certificateOf } from '../../src/shared/tls/certificate.ts';
import { canMakeCertificates } from '../support/tls/certificates.ts';
import { withMonth13 } from '../support/tls/month-13.ts';
import { BARE, Pki } from '../support/tls/pki.ts';

const DAY_MS = 24 * 3_600_000;
const NOW = Date.UTC(2026, 0, 1);
const RULES: JudgementRules = { nowMs: NOW, renewBeforeMs: 0 };
const OPTIONS = {
  namespace: 'kube-system',
  clusterName: 'east',
  authMode: undefined,
  extraDnsNames: [],
  extraIpAddresses: [],
  clusterDomain: 'cluster.local',
  hasPeers: false,
};

function profile(name: ProfileName, options: Partial<Parameters<typeof profilesOf>[0]> = {}) {
  const found = profilesOf({ ...OPTIONS, ...options }).find((each) => each.name === name);
  if (found === undefined) throw new Error(name);
  return found;
}

const days = (from: number, to: number) => ({ notBeforeMs: NOW + from * DAY_MS, notAfterMs: NOW + to * DAY_MS });

function authority(from = -1, to = 1_000) {
  const { certificate, key } = issueAuthority({ commonName: 'Cilium CA', ...days(from, to) });
  const signer: Signer = { certificate: certificateOf(Buffer.from(certificate)), key: createPrivateKey(key) };
  return { pem: certificate, signer };
}

const CA = authority();

function material(request: Partial<LeafRequest> = {}, ca = CA): Material {
  const { dnsNames, ipAddresses } = profile('server');
  const server: LeafRequest = { commonName: 'x', dnsNames, ipAddresses, usage: 'server', ...days(-1, 364) };
  const { certificate, key } = issueLeaf({ ...server, ...request }, ca.signer);
  return { certificate, key, ca: ca.pem };
}

const client = (commonName: string): Partial<LeafRequest> => ({ commonName, dnsNames: [], ipAddresses: [], usage: 'client' });

const told = (of: Material, name: ProfileName = 'server', rules = RULES, options = {}) =>
  judge(of, profile(name, options), rules).findings.map(({ code, severity }) => `${severity} ${code}`);

test('a certificate that is what it has to be has no finding', () => {
  expect(told(material())).toEqual([]);
  expect(told(material(client('admin-east')), 'admin')).toEqual([]);
  expect(told(material(client('local-east')), 'local')).toEqual([]);
});

test.each<[string, Partial<LeafRequest>, readonly string[]]>([
  ['all that it needs', {}, []],
  ['the common name of another cluster', { commonName: 'peer-west' }, ['error common-name']],
  ['no usage as a client', { usage: 'server' }, ['error usage-missing']],
  ['no usage as a server', { usage: 'client' }, ['error usage-missing']],
  ['no names of Pods', { dnsNames: ['localhost'] }, ['error san-missing']],
])('a peer certificate with %s', (_, request, findings) => {
  const options = { hasPeers: true };
  const { commonName, dnsNames, ipAddresses, usage } = profile('peer', options);
  expect(told(material({ commonName, dnsNames, ipAddresses, usage, ...request }), 'peer', RULES, options)).toEqual(findings);
});

test('a server certificate of a replicated etcd has the names of its Pods', () => {
  expect(told(material(), 'server', RULES, { hasPeers: true })).toEqual(['error san-missing']);
  const { dnsNames } = profile('server', { hasPeers: true, clusterDomain: 'example.org' });
  expect(told(material({ dnsNames }), 'server', RULES, { hasPeers: true, clusterDomain: 'example.org' })).toEqual([]);
});

test.each([
  ['remote', undefined, []],
  ['remote-east', undefined, []],
  ['remote-west', undefined, ['error common-name']],
  ['remote', 'migration', []],
  ['remote-east', 'migration', ['error common-name']],
  ['remote', 'cluster', ['error common-name']],
  ['remote-east', 'cluster', []],
])('the remote user %s with authentication mode %s', (name, authMode, findings) => {
  expect(told(material(client(name)), 'remote', RULES, { authMode })).toEqual(findings);
});

test.each<[string, Partial<LeafRequest>, string[]]>([
  ['the last third of its validity', days(-67, 33), ['warning expires-soon']],
  ['the second third', days(-66, 34), []],
  ['its end', days(-100, -1), ['error expired']],
  ['its begin', days(1, 100), ['error not-yet-valid']],
  ['no server usage', { usage: 'client' }, ['error usage-missing']],
  ['no name of the mesh', { dnsNames: ['clustermesh-apiserver.kube-system.svc'] }, ['error san-missing']],
  ['no loopback address', { ipAddresses: ['127.0.0.1'] }, ['error san-missing']],
  ['no name at all', { dnsNames: [], ipAddresses: [] }, ['error san-missing']],
])('a server certificate with %s', (_, request, findings) => {
  expect(told(material(request))).toEqual(findings);
});

test('a name is there if a wildcard covers it, in any case of letters; the wildcard of the mesh has to be there itself', () => {
  const dnsNames = ['*.kube-system.SVC', '*.MESH.cilium.io'];
  expect(told(material({ dnsNames }))).toEqual([]);
  expect(told(material({ dnsNames: ['clustermesh-apiserver.kube-system.svc', 'west.mesh.cilium.io'] }))).toEqual([
    'error san-missing',
  ]);
});

test('--renew-before counts from the end', () => {
  const rules = { ...RULES, renewBeforeMs: 10 * DAY_MS };
  expect(told(material(days(-90, 11)), 'server', rules)).toEqual([]);
  expect(told(material(days(-1, 9)), 'server', rules)).toEqual(['warning expires-soon']);
});

test('an expired CA is an error where it has issued the certificate, and a warning beside the one that has', () => {
  const expired = authority(-100, -1);
  expect(told(material({}, expired))).toEqual(['error ca-expired']);
  expect(told({ ...material(), ca: CA.pem + expired.pem })).toEqual(['warning ca-expired']);
});

test('a CA of the same name is another one', () => {
  expect(told({ ...material(), ca: authority().pem })).toEqual(['error not-signed']);
  expect(told({ ...material(), ca: authority().pem + CA.pem })).toEqual([]);
});

test.each(['notBefore', 'notAfter'] as const)(
  'a certificate whose %s is no time is malformed, as certificate and as CA',
  (field) => {
    const good = material();
    const leaf = { ...good, certificate: withMonth13(good.certificate ?? '', field) };
    expect(judge(leaf, profile('server'), RULES).findings).toEqual([
      { code: 'certificate-malformed', severity: 'error', evidence: `tls.crt: not a certificate: ${field} is not a time` },
    ]);
    expect(told({ ...good, ca: withMonth13(good.ca ?? '', field) })).toEqual(['error ca-malformed']);
  },
);

describe.skipIf(!canMakeCertificates())('certificates of openssl (needs the openssl command, version 3)', () => {
  test('one without usages may be used for everything, and one with a common name alone has no name', () => {
    using pki = new Pki();
    const ca = pki.authority('Cilium CA', BARE);
    const issue = (name: string, extensions: readonly string[]): Material => {
      const { cert, key } = pki.issue({ name, issuer: ca, extensions: [...extensions, ...BARE] });
      return { certificate: cert, key, ca: ca.cert };
    };
    // Later than the certificates, which are issued after this.
    const rules = { ...RULES, nowMs: Date.now() + 60_000, renewBeforeMs: 1 };
    expect(told(issue('admin-east', ['basicConstraints=CA:FALSE']), 'admin', rules)).toEqual([]);
    expect(told(issue('admin-east', ['keyUsage=keyEncipherment']), 'admin', rules)).toEqual(['error usage-missing']);
    const legacy = issue('clustermesh-apiserver.kube-system.svc', ['extendedKeyUsage=serverAuth']);
    expect(told(legacy, 'server', rules)).toEqual(['error san-missing']);
  });
});

test('whatever stands in a Secret is judged without an error, and no key is quoted', () => {
  const good = material();
  const spoilt = (text: string) =>
    fc.tuple(fc.nat(text.length), fc.nat(60), fc.string({ maxLength: 20 })).map(([at, length, put]) => {
      return text.slice(0, at) + put + text.slice(at + length);
    });
  fc.assert(
    fc.property(
      spoilt(good.certificate ?? ''),
      spoilt(good.key ?? ''),
      spoilt(good.ca ?? ''),
      fc.constantFrom<ProfileName>('server', 'admin'),
      (certificate, key, ca, name) => {
        const { findings } = judge({ certificate, key, ca }, profile(name), RULES);
        const evidence = findings.map((each) => each.evidence).join(' ');
        const lines = (good.key ?? '').split('\n').filter((line) => line.length > 30);
        expect(lines.filter((line) => evidence.includes(line))).toEqual([]);
      },
    ),
    { numRuns: 200 },
  );
});
