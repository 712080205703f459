import { expect, test } from 'vitest';
import { parseKvstoreOptions } from '../../src/shared/flags/kvstore-options.ts';

const parse = (...pairs: [string, string][]) => parseKvstoreOptions(new Map([['etcd.address', 'http://e:1'], ...pairs]));

test('every option of the field is read', () => {
  expect(
    parseKvstoreOptions(
      new Map([
        ['etcd.config', '/etc/etcd.yaml'],
        ['etcd.address', 'https://127.0.0.1:2379'],
        ['etcd.qps', '100'],
        ['etcd.bootstrapQps', '10000'],
        ['etcd.maxInflight', '10'],
        ['etcd.limit', '256'],
        ['etcd.keepaliveHeartbeat', '15s'],
        ['etcd.keepaliveTimeout', '25s'],
      ]),
    ),
  ).toEqual({
    etcdConfigPath: '/etc/etcd.yaml',
    address: 'https://127.0.0.1:2379',
    qps: 100,
    bootstrapQps: 10_000,
    maxInflight: 10,
    limit: 256,
    keepaliveTimeMs: 15_000,
    keepaliveTimeoutMs: 25_000,
  });
});

test('a limit that is absent or 0 is no limit, a page size of 0 requests no pages', () => {
  expect(parse(['etcd.qps', '0'], ['etcd.bootstrapQps', '0'], ['etcd.maxInflight', '0'], ['etcd.limit', '0'])).toEqual({
    address: 'http://e:1',
    limit: 0,
  });
});

test('an unknown option is refused with the nearest and all known ones', () => {
  expect(() => parse(['etcd.bootstrapqps', '1'])).toThrow(
    /^flag --kvstore-opt: unknown option "etcd.bootstrapqps"; did you mean etcd.bootstrapQps\? allowed: etcd.config, .*etcd.keepaliveTimeout$/,
  );
  expect(() => parse(['__proto__', '1'])).toThrow(/unknown option "__proto__"; allowed/);
});

test.each([
  ['etcd.qps', '-1'],
  ['etcd.qps', 'fast'],
  ['etcd.limit', '1.5'],
  ['etcd.limit', ''],
  ['etcd.keepaliveTimeout', '25'],
  ['etcd.keepaliveTimeout', '0s'],
  ['etcd.config', ''],
])('%s=%j is refused', (key, value) => {
  expect(() => parse([key, value])).toThrow(`flag --kvstore-opt: ${key}=${JSON.stringify(value)} is invalid; allowed: `);
});

test('an etcd has to be named', () => {
  expect(() => parseKvstoreOptions(new Map())).toThrow('no etcd address; set etcd.config=<file> or etcd.address=<URL>');
});

test('times that gRPC keeps in a timer are no longer than a timer can be', () => {
  expect(parse(['etcd.keepaliveHeartbeat', '720h'], ['etcd.keepaliveTimeout', '2562047h'])).toMatchObject({
    keepaliveTimeMs: 2 ** 31 - 1,
    keepaliveTimeoutMs: 2 ** 31 - 1,
  });
});

test.each([
  ['010', 10],
  ['+5', 5],
])('the number %s is decimal, as in the original', (text, value) => {
  expect(parse(['etcd.qps', text])).toMatchObject({ qps: value });
});

test.each(['0x10', '1_000', '1e2', ' 5'])('the number %s is refused, as in the original', (text) => {
  expect(() => parse(['etcd.qps', text])).toThrow(`etcd.qps=${JSON.stringify(text)} is invalid`);
});
