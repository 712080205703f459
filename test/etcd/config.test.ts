import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseEtcdConfig, readEtcdConfig } from '../../src/shared/etcd/config.ts';
import { EtcdConfigError } from '../../src/shared/etcd/errors.ts';

const parse = (text: string) => parseEtcdConfig(text, '/etc/mesh/berlin');

test('a file as Cilium writes it is read', () => {
  const config = parse(`
endpoints:
- https://berlin.mesh.cilium.io:2379
trusted-ca-file: /var/lib/cilium/clustermesh/common-etcd-client-ca.crt
key-file: /var/lib/cilium/clustermesh/common-etcd-client.key
cert-file: /var/lib/cilium/clustermesh/common-etcd-client.crt
`);
  expect(config).toEqual({
    endpoints: ['https://berlin.mesh.cilium.io:2379'],
    caFile: '/var/lib/cilium/clustermesh/common-etcd-client-ca.crt',
    keyFile: '/var/lib/cilium/clustermesh/common-etcd-client.key',
    certFile: '/var/lib/cilium/clustermesh/common-etcd-client.crt',
    skipVerify: false,
    hostAliases: new Map(),
  });
});

test('host aliases give addresses to names', () => {
  const config = parse(`
endpoints: ["https://Berlin.mesh:2379", "https://[fd00::1]:2379/"]
cilium-host-aliases:
- hostname: Berlin.mesh
  ips: [10.1.2.3, "fd00::2", 10.1.2.3]
`);
  expect(config.endpoints).toEqual(['https://Berlin.mesh:2379', 'https://[fd00::1]:2379']);
  expect(config.hostAliases).toEqual(new Map([['berlin.mesh', ['10.1.2.3', 'fd00::2']]]));
});

test('an endpoint without a scheme uses TLS unless the file says otherwise', () => {
  expect(parse('endpoints: ["a:1"]').endpoints).toEqual(['https://a:1']);
  expect(parse('endpoints: ["a:1"]\ninsecure-transport: true').endpoints).toEqual(['http://a:1']);
});

test('the older name of the CA file is known, keys of other programs are ignored, and an empty value is none', () => {
  const config = parse('endpoints: ["https://a:1"]\nca-file: /ca\ncert-file:\nkey-file: ""\ndial-timeout: 5\nusername: x');
  expect(config).toMatchObject({ caFile: '/ca', certFile: undefined, keyFile: undefined });
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['an empty file', '', /berlin:1: allowed: keys and values, `endpoints` among them/],
  ['a list', '[a]', /berlin:1: allowed: keys and values/],
  ['no endpoints', 'trusted-ca-file: /x', /berlin:1: endpoints: allowed: a list of 1 to 64 URLs/],
  ['an empty list of endpoints', '\nendpoints: []', /berlin:2: endpoints: allowed: a list of 1 to 64 URLs/],
  ['too many endpoints', `endpoints: [${'"https://a:1",'.repeat(65)}]`, /endpoints: allowed: a list of 1 to 64/],
  [
    'an endpoint of another kind',
    'endpoints:\n- https://a:1\n- 5',
    /berlin:3: endpoints\[1\]: allowed: a URL with host and port/,
  ],
  ['an endpoint without a port', 'endpoints:\n- https://a', /berlin:2: endpoints\[0\]: "https:\/\/a" is no endpoint/],
  ['a port out of range', 'endpoints: ["https://a:65536"]', /no endpoint/],
  ['another scheme', 'endpoints: ["unix:///run/etcd"]', /no endpoint/],
  ['a scheme of each kind', 'endpoints:\n- https://a:1\n- http://b:1', /berlin:3: endpoints\[1\]: http and https are mixed/],
  [
    'insecure transport with https',
    'endpoints: ["https://a:1"]\ninsecure-transport: true',
    /berlin:2: insecure-transport: true contradicts/,
  ],
  ['a certificate without a key', 'endpoints: [a:1]\ncert-file: /c', /berlin:2: cert-file: allowed: cert-file and key-file both/],
  ['a key without a certificate', 'endpoints: [a:1]\nkey-file: /k', /berlin:2: key-file: allowed: cert-file and key-file both/],
  ['a path that is none', 'endpoints: [a:1]\ntrusted-ca-file: [x]', /berlin:2: trusted-ca-file: allowed: the path of a file/],
  ['a flag that is none', 'endpoints: [a:1]\ninsecure-skip-tls-verify: maybe', /allowed: true or false/],
  [
    'an alias without a name',
    'endpoints: [a:1]\ncilium-host-aliases:\n- hostname: ""\n  ips: [1.1.1.1]',
    /:3: .*\[0\]\.hostname: allowed: a host name/,
  ],
  [
    'an alias without addresses',
    'endpoints: [a:1]\ncilium-host-aliases:\n- hostname: h\n  ips: []',
    /:4: .*\[0\]\.ips: allowed: a list of IP/,
  ],
  [
    'an alias with a name for an address',
    'endpoints: [a:1]\ncilium-host-aliases:\n- {hostname: h, ips: [g]}',
    /ips\[0\]: allowed: a list of IP/,
  ],
  [
    'an alias given twice',
    'endpoints: [a:1]\ncilium-host-aliases:\n- {hostname: h, ips: [1.1.1.1]}\n- {hostname: H, ips: [1.1.1.2]}',
    /berlin:4: cilium-host-aliases\[1\]\.hostname: "H" is named twice/,
  ],
  ['a key given twice', 'endpoints: [a:1]\nendpoints: [b:1]', /endpoints: named twice; allowed: once/],
  ['broken YAML', 'endpoints: [a:1\nfoo', /berlin:2: /],
  ['an alias bomb', bomb(), /alias/],
  ['brackets without end', '['.repeat(5_000), /berlin/],
  ['ten megabytes', `endpoints: [a:1] #${'x'.repeat(10_000_000)}`, /larger than 65536 bytes/],
];

test.each(REFUSED)('fault 32: %s is refused, with the place and what is allowed', (_, text, message) => {
  const refuse = () => parse(text);
  expect(refuse).toThrow(message);
});

test('what is refused is refused with a typed error', () => {
  expect(() => parse('endpoints: 7')).toThrow(EtcdConfigError);
  expect(() => parse('[')).toThrow(EtcdConfigError);
});

test('a file is read up to its bound, and a missing one is named', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'etcd-config-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'berlin');
  await expect(readEtcdConfig(file)).rejects.toThrow(/berlin: cannot be read: ENOENT/);
  writeFileSync(file, 'endpoints: ["https://a:1"]');
  expect((await readEtcdConfig(file)).endpoints).toEqual(['https://a:1']);
  writeFileSync(file, `endpoints: ["https://a:1"]\n${'#'.repeat(100_000)}`);
  await expect(readEtcdConfig(file)).rejects.toThrow(/larger than 65536 bytes/);
});

/** Few lines that stand for ten billion values. */
function bomb(): string {
  const lines = ['endpoints: [a:1]', 'k0: &k0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let depth = 1; depth < 10; depth += 1) lines.push(`k${depth}: &k${depth} [${`*k${depth - 1},`.repeat(10)}]`);
  return lines.join('\n');
}
