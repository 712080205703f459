import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseEtcdConfig, readEtcdConfig } from '../../src/shared/etcd/config.ts';
import { EtcdConfigError } from '../../src/shared/etcd/errors.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

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
    warnings: [],
  });
});

test('host aliases give addresses to names', () => {
  const config = parse(`
endpoints: ["https://Berlin.mesh:2379", "https://[fd00::1]:2379/"]
cilium-host-aliases:
- hostname: Berlin.mesh
  ips: [10.1.2.3, "fd00::2", 10.1.2.3]
`);
  expect(config.endpoints).toEqual(['https://berlin.mesh:2379', 'https://[fd00::1]:2379']);
  expect(config.hostAliases).toEqual(new Map([['berlin.mesh', ['10.1.2.3', 'fd00::2']]]));
});

test('an endpoint without a scheme uses TLS unless the file disables it', () => {
  expect(parse('endpoints: ["a:1"]').endpoints).toEqual(['https://a:1']);
  expect(parse('endpoints: ["a:1"]\ninsecure-transport: true').endpoints).toEqual(['http://a:1']);
});

test('the older name of the CA file is known, keys without effect are accepted, and an empty value is none', () => {
  const config = parse(
    'endpoints: ["https://a:1"]\nca-file: /ca\ncert-file:\nkey-file: ""\ndial-timeout: 5\nreject-old-cluster: on',
  );
  expect(config.warnings).toEqual([]);
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
    /berlin:3: endpoints\[1\]: "5" is not an endpoint; allowed: a URL with host and port/,
  ],
  ['an endpoint without a port', 'endpoints:\n- https://a', /berlin:2: endpoints\[0\]: "https:\/\/a" is not an endpoint/],
  ['a port out of range', 'endpoints: ["https://a:65536"]', /not an endpoint/],
  ['another scheme', 'endpoints: ["unix:///run/etcd"]', /not an endpoint/],
  ['a path that is none', 'endpoints: [a:1]\ntrusted-ca-file: [x]', /berlin:2: trusted-ca-file: allowed: a file path/],
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
    /berlin:4: cilium-host-aliases\[1\]\.hostname: "H" is duplicated/,
  ],
  [
    'a misspelt key in the place of the endpoints',
    'endpoint: [a:1]',
    /berlin:1: endpoints: .*endpoint: .*did you mean endpoints/,
  ],
  [
    'a password for a stranger to read',
    'endpoints: ["http://a:1"]\nusername: u\npassword: p',
    /berlin:3: password: .*plain text/,
  ],
  ['a token for a stranger to read', 'endpoints: ["http://10.0.0.1:1"]\ntoken: t', /berlin:2: token: .*plain text/],
  ['broken YAML', 'endpoints: [a:1\nfoo', /berlin:2: /],
  ['an alias bomb', bomb(), /alias/],
  ['brackets without end', '['.repeat(5_000), /berlin/],
  ['a mapping as a key', 'endpoints: [a:1]\n? {a: b}\n: c', /berlin:2: a list or a mapping as a key; allowed: a text/],
  ['a list as a key', 'endpoints: [a:1]\nx:\n  [a]: b', /berlin:3: a list or a mapping as a key/],
  ['an alias of a mapping as a key', 'endpoints: &a [a:1]\n*a : b', /berlin:2: a list or a mapping as a key/],
  ['a key in a key, many times', '? '.repeat(66), /berlin:1: a list or a mapping as a key/],
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
  const directory = temporaryDirectory('etcd-config');
  const file = join(directory, 'berlin');
  await expect(readEtcdConfig(file)).rejects.toThrow(/berlin: cannot be read: ENOENT/);
  writeFileSync(file, 'endpoints: ["https://a:1"]');
  expect((await readEtcdConfig(file)).endpoints).toEqual(['https://a:1']);
  writeFileSync(file, `endpoints: ["https://a:1"]\n${'#'.repeat(100_000)}`);
  await expect(readEtcdConfig(file)).rejects.toThrow(/larger than 65536 bytes/);
});

const SPELLINGS: readonly (readonly [string, string])[] = [
  ['HTTPS://a:1', 'https://a:1'],
  ['HTTP://a:1', 'http://a:1'],
  ['https://A.Example:1', 'https://a.example:1'],
  ['https://a:1/', 'https://a:1'],
  ['https://a:1/v3/kv?x=y#z', 'https://a:1'],
  ['" https://a:1 "', 'https://a:1'],
  ['https://user:word@a:1/', 'https://a:1'],
  ['https://a.example.:1', 'https://a.example.:1'],
  ['"https://[FD00:0:0::1]:1"', 'https://[fd00::1]:1'],
  ['"https://[fe80::1%25eth0]:1"', 'https://[fe80::1%eth0]:1'],
  ['"[fe80::1%eth0]:1"', 'https://[fe80::1%eth0]:1'],
];

test.each(SPELLINGS)('the endpoint %s is %s', (written, url) => {
  expect(parse(`endpoints: [${written}]`).endpoints).toEqual([url]);
});

test('an endpoint that stands there in several spellings is one', () => {
  const written = '[https://a:1, "HTTPS://A:1/", "a:1", " https://a:01/x", b:1]';
  expect(parse(`endpoints: ${written}`).endpoints).toEqual(['https://a:1', 'https://b:1']);
});

test.each([
  'https://a',
  'https://fd00::1:2379',
  'https://[fd00::1',
  'grpc://a:1',
  'https://:1',
  'https://a:1:2',
  'https://...:1',
])('the endpoint %s is refused', (endpoint) => {
  expect(() => parse(`endpoints: ["${endpoint}"]`)).toThrow(/not an endpoint; allowed/);
});

test('the password before the host of an endpoint shows in no message', () => {
  expect(() => parse('endpoints: ["https://user:hunter2@a"]')).toThrow(/"https:\/\/…@a" is not an endpoint/);
});

test.each(['yes', 'on', 'y', 'True', 'ON'])('the word %s is true', (word) => {
  expect(parse(`endpoints: [a:1]\ninsecure-skip-tls-verify: ${word}`).skipVerify).toBe(true);
});

test.each(['no', 'off', 'n', 'False', 'OFF', '', '~'])('the word "%s" is not true', (word) => {
  expect(parse(`endpoints: [a:1]\ninsecure-skip-tls-verify: ${word}`).skipVerify).toBe(false);
});

const NUMBERS: readonly (readonly [string, string])[] = [
  ['0123', '83'],
  ['"0123"', '0123'],
  ['0x1F', '31'],
  ['0b101', '5'],
  ['0o17', '15'],
  ['1_000', '1000'],
  ['12345678901234567890', '12345678901234567890'],
  ['1e3', '1000'],
  ['1000000.0', '1e+06'],
  ['1.5', '1.5'],
  ['yes', 'true'],
  ['12:34', '12:34'],
  ['2026-01-01', '2026-01-01'],
];

test.each(NUMBERS)('the password %s is %s, as for etcdctl and the agents', (written, password) => {
  const { login, warnings } = parse(`endpoints: [a:1]\nusername: mesh\npassword: ${written}`);
  expect(login).toEqual({ kind: 'password', username: 'mesh', password });
  expect(warnings).toEqual([]);
});

const DOCUMENTS: readonly (readonly [string, string])[] = [
  ['a mark at its begin', '---\nendpoints: [a:1]\n'],
  ['a mark of bytes, carriage returns and blanks', '\ufeff---\r\nendpoints:   \r\n  - "https://a:1"  \r\n'],
  ['a mark at its end', 'endpoints: [a:1]\n---\n'],
  ['a second document', 'endpoints: [a:1]\n---\nnote: rendered by another template\n'],
  ['a second document that is broken', 'endpoints: [a:1]\n---\n[{\n'],
  ['dots at its end', '---\nendpoints: [a:1]\n...\n'],
  ['a comment before the mark', '# Source: chart\n---\nendpoints: [a:1]\n'],
  ['JSON', '{\n\t"endpoints": ["a:1"]\n}'],
  ['keys in upper case', 'Endpoints: [a:1]'],
  ['a mapping that is merged', 'base: &base {endpoints: [a:1]}\n<<: *base'],
  ['an alias as a key', 'word: &word endpoints\n*word : [a:1]'],
];

test.each(DOCUMENTS)('a file with %s is read', (_, text) => {
  expect(parse(text).endpoints).toEqual(['https://a:1']);
});

test('several mappings that are merged into one are no key that stands twice', () => {
  const text = 'a: &a {endpoints: [a:1]}\nb: &b {token: t}\n<<: *a\n<<: *b\n';
  expect(parse(text).warnings).not.toContainEqual(expect.stringContaining('duplicate key'));
});

const WARNED: readonly (readonly [string, string, RegExp])[] = [
  ['a misspelt key', 'endpoints: [a:1]\ntrusted-ca-fiel: /ca', /berlin:2: trusted-ca-fiel: .*did you mean trusted-ca-file\?/],
  ['a key of another program', 'endpoints: [a:1]\ncolour: red', /berlin:2: colour: unknown key, ignored$/],
  ['a key that stands twice', 'endpoints: [b:1]\nendpoints: [a:1]', /berlin:2: endpoints: duplicate key; the last one is used/],
  ['a key in two spellings', 'endpoints: [a:1]\nEndpoints: [b:1]', /berlin:1: endpoints: .*another spelling/],
  ['a certificate without a key', 'endpoints: [a:1]\ncert-file: /c', /berlin:2: cert-file: it has no effect without key-file/],
  ['a key without a certificate', 'endpoints: [a:1]\nkey-file: /k', /berlin:2: key-file: it has no effect without cert-file/],
  ['a user without a password', 'endpoints: [a:1]\nusername: u', /berlin:2: username: it has no effect without password/],
  ['http beside https', 'endpoints:\n- https://a:1\n- http://b:1', /berlin:3: endpoints\[1\]: .*TLS is used for all endpoints/],
  [
    'insecure transport with https',
    'endpoints: ["https://a:1"]\ninsecure-transport: on',
    /berlin:2: insecure-transport: .*TLS is used/,
  ],
  ['a duration in words', 'endpoints: [a:1]\ndial-timeout: 5s', /berlin:2: dial-timeout: .*nanoseconds/],
];

test.each(WARNED)('%s gives a warning, and the file is used', (_, text, message) => {
  const { endpoints, warnings } = parse(text);
  expect(endpoints[0]).toBe('https://a:1');
  expect(warnings).toEqual([expect.stringMatching(message)]);
});

test('the first endpoint decides whether TLS is used', () => {
  expect(parse('endpoints: ["http://a:1", "https://b:1", c:1]').endpoints).toEqual(['http://a:1', 'http://b:1', 'http://c:1']);
  expect(parse('endpoints: [a:1, "http://b:1"]').endpoints).toEqual(['https://a:1', 'https://b:1']);
  expect(parse('endpoints: [a:1, "https://b:1"]\ninsecure-transport: true').endpoints).toEqual(['http://a:1', 'http://b:1']);
});

test('a password is sent over https, to the loopback, and if the file allows insecure transport', () => {
  const login = 'username: u\npassword: p';
  for (const endpoint of ['https://a:1', 'http://127.0.0.1:1', 'http://[::1]:1', 'http://localhost:1']) {
    expect(parse(`endpoints: ["${endpoint}"]\n${login}`).login).toMatchObject({ username: 'u' });
  }
  const aliases = 'cilium-host-aliases: [{hostname: A, ips: [127.0.0.1]}]';
  expect(parse(`endpoints: ["http://a.:1"]\n${aliases}\n${login}`).login).toMatchObject({ username: 'u' });
  expect(parse(`endpoints: ["http://a:1"]\ninsecure-transport: yes\n${login}`).login).toMatchObject({ username: 'u' });
});

test('warnings are bounded, and the value of a password is in no message', () => {
  const keys = Array.from({ length: 100 }, (_, index) => `strange${index}: x`).join('\n');
  expect(parse(`endpoints: [a:1]\n${keys}`).warnings).toHaveLength(20);
  const message = (text: string) => {
    try {
      return JSON.stringify(parse(text).warnings);
    } catch (thrown) {
      return String(thrown);
    }
  };
  for (const text of [
    'endpoints: [a:1]\npassword: hunter2',
    'endpoints: ["http://a:1"]\nusername: u\npassword: hunter2',
    'password: hunter2',
    'endpoints: [a:1]\npassword: [hunter2]',
  ]) {
    expect(message(text)).toMatch(/berlin/);
    expect(message(text)).not.toContain('hunter2');
  }
});

/** Few lines that stand for ten billion values. */
function bomb(): string {
  const lines = ['endpoints: [a:1]', 'k0: &k0 [x,x,x,x,x,x,x,x,x,x]'];
  for (let depth = 1; depth < 10; depth += 1) lines.push(`k${depth}: &k${depth} [${`*k${depth - 1},`.repeat(10)}]`);
  return lines.join('\n');
}
