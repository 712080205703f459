import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foreignIdentity, nodeClaim, serviceClaim } from '../../../src/kvstoremesh/import-guard/claims.ts';
import { JsonMembers } from '../../../src/kvstoremesh/import-guard/json-members.ts';
import { ReadIdentities } from '../../../src/kvstoremesh/import-guard/read-identities.ts';

const reader = new JsonMembers('id', 'cluster', 'clusterid');

function found(json: string | Buffer): [boolean, [number, string][]] {
  const bytes = Buffer.from(json);
  const members: [number, string][] = [];
  const isObject = reader.scan(bytes, (index, from, to) => members.push([index, bytes.toString('utf8', from, to)]));
  return [isObject, members];
}

describe('the members of an object', () => {
  test('are found like with JSON.parse, in any surroundings', () => {
    const names = fc.oneof(fc.constantFrom('ID', 'Cluster', 'ClusterID', 'Id', 'other'), fc.string());
    const objects = fc.dictionary(names, fc.jsonValue(), { noNullPrototype: true });
    fc.assert(
      fc.property(objects, fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        const [isObject, members] = found(JSON.stringify(object, undefined, indent));
        const fold = (name: string) => name.toUpperCase().toLowerCase();
        const wanted = Object.entries(JSON.parse(JSON.stringify(object)) as object).flatMap(([name, value]) => {
          const index = ['id', 'cluster', 'clusterid'].indexOf(fold(name));
          return index < 0 ? [] : [[index, value]];
        });
        expect(isObject).toBe(true);
        expect(members.map(([index, value]) => [index, JSON.parse(value)])).toEqual(wanted);
      }),
    );
  });

  test.each([
    ['in any letter case', '{"iD":1,"ID":2}', ['1', '2']],
    ['as often as they are there', '{"ID":1,"x":[{"ID":3}],"ID":"}"}', ['1', '"}"']],
    ['written with escapes', '{"\\u0049D":1,"\\u0069\\u0064":2}', ['1', '2']],
    ['not inside of others', '{"x":{"ID":1},"y":"\\"ID\\":5","__proto__":{"ID":2},"ID":7}', ['7']],
  ])('are reported %s', (_, json, values) => {
    expect(found(json)).toEqual([true, values.map((value) => [0, value])]);
  });

  test('are found with the letters beyond ASCII that Go treats as letters of ASCII', () => {
    expect(found('{"Clu\u017fter":"x"}')).toEqual([true, [[1, '"x"']]]);
  });

  test.each([
    '',
    ' ',
    'x',
    '[]',
    '1',
    '"ID"',
    '{',
    '{"ID"',
    '{"ID":',
    '{"ID":1',
    '{"ID":1,',
    '{"ID":1,}',
    '{"ID":1}x',
    '{,}',
    '{"a":[1}',
    '{"a":"\\"}',
    '{a:1}',
  ])('of what is no object are none: %j', (json) => {
    expect(found(json)[0]).toBe(false);
  });

  test('are looked for without harm in any bytes, and always come to an end', () => {
    const punctuation = fc.array(fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', 'ID', '1', ' '), { maxLength: 30 });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array)),
      punctuation.map((parts) => Buffer.from(`{${parts.join('')}`)),
    );
    fc.assert(
      fc.property(bytes, (json) => {
        const [isObject] = found(json);
        let parsed: unknown;
        try {
          parsed = JSON.parse(json.toString('latin1'));
        } catch {
          return;
        }
        expect(isObject).toBe(typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('what values claim', () => {
  const allowed = (identity: number) => identity < 256 || identity >> 16 === 7;
  const identity = (json: string) => foreignIdentity(Buffer.from(json), allowed);
  const service = (json: string) => serviceClaim(Buffer.from(json), 'berlin', 7);

  test.each([
    ['{"IP":"10.0.0.1","ID":458790}', 'none'],
    ['{"IP":"10.0.0.1","ID":2}', 'none'],
    ['{"IP":"10.0.0.1"}', 'none'],
    ['{"ID":null}', 'none'],
    ['{"ID":70000}', 70_000],
    ['{"ID":70000,"id":458790}', 70_000],
    ['{"ID":458790,"id":9000,"Id":458791}', 9000],
    ['{"ID":16777217}', 16_777_217],
    ['{"ID":4294967295}', 4_294_967_295],
    ['{"ID":4294967296}', undefined],
    ['{"ID":9007199254740993}', undefined],
    ['{"ID":1e3}', undefined],
    ['{"ID":-1}', undefined],
    ['{"ID":"458790"}', undefined],
    ['{"ID":01}', undefined],
    ['not JSON', undefined],
  ])('an entry %s: the identity that is not allowed is %s', (json, expected) => {
    expect(identity(json)).toBe(expected);
  });

  test.each([
    ['{"cluster":"berlin","clusterID":7}', false],
    ['{"Cluster":"berlin","ClusterID":7}', false],
    ['{"cluster":"b\\u0065rlin"}', false],
    ['{}', false],
    ['{"cluster":"","clusterID":0}', false],
    ['{"cluster":"oslo","clusterID":7}', true],
    ['{"cluster":"berlin","clusterID":8}', true],
    ['{"cluster":"berlin","CLUSTER":"oslo"}', true],
    [`{"cluster":"${'x'.repeat(40)}"}`, true],
    ['{"cluster":5}', undefined],
    ['{"clusterID":"7"}', undefined],
    ['\x28\xb5\x2f\xfd', undefined],
  ])('a service %s: it is of another cluster: %s', (json, expected) => {
    expect(service(json)?.isForeign).toBe(expected);
  });

  test('a node: its pod CIDRs of both families, and those that are none left out', () => {
    const cidr = (IP: string, mask: number[]) => ({ IP, Mask: Buffer.from(mask).toString('base64') });
    const node = {
      Cluster: 'berlin',
      ClusterID: 7,
      IPv4AllocCIDR: cidr('10.7.9.0', [255, 255, 255, 0]),
      IPv4SecondaryAllocCIDRs: [cidr('10.8.0.0', [255, 254, 0, 0]), cidr('10.9.0.0', [255, 0, 255, 0]), null],
      IPv6AllocCIDR: cidr('fd00::1', [255, 255, ...new Array(14).fill(0)]),
      IPv6SecondaryAllocCIDRs: null,
    };
    const claim = nodeClaim(Buffer.from(JSON.stringify(node)), 'berlin', 7);
    expect(claim).toMatchObject({ isForeign: false, isPartial: true });
    expect(claim?.podCidrs.map(({ bytes, length }) => [...bytes.slice(0, 4), length])).toEqual([
      [10, 7, 9, 0, 24],
      [10, 8, 0, 0, 15],
      [0xfd, 0, 0, 0, 16],
    ]);
  });

  test.each([
    ['as deep as 100,000 lists', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},"cluster":"oslo"}`],
    ['as deep as 100,000 objects', `{"x":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)},"cluster":"oslo"}`],
    ['with a member __proto__', '{"__proto__":{"cluster":"berlin"},"constructor":{},"cluster":"oslo"}'],
    ['of 1.5 MB', `{"labels":"${'\\"'.repeat(750_000)}","cluster":"oslo"}`],
    ['with 100,000 members of that name', `{${'"cluster":"berlin",'.repeat(100_000)}"cluster":"oslo"}`],
  ])('are read from a value %s', (_, json) => {
    expect(service(json)).toMatchObject({ isForeign: true });
    expect(Object.hasOwn(Object.prototype, 'cluster')).toBe(false);
  });
});

test('an identity that the import policy has read counts for the guard like one that the guard reads itself', () => {
  const allowed = (identity: number) => identity < 256 || identity >> 16 === 7;
  const identities = fc.array(fc.oneof(fc.constantFrom(2, 458_790, 70_000), fc.nat(0xffff_ffff)), { maxLength: 7 });
  fc.assert(
    fc.property(identities, (found) => {
      const value = Buffer.from(`{"IP":"10.0.0.1"${found.map((each) => `,"ID":${each}`).join('')}}`);
      const read = new ReadIdentities();
      read.begin(value);
      for (const each of found) read.add(each);
      expect(read.has(value)).toBe(found.length <= 4);
      if (read.has(value)) expect(read.foreign(allowed)).toBe(foreignIdentity(value, allowed));
      expect(read.has(Buffer.from(value))).toBe(false);
      read.end();
      expect(read.has(value)).toBe(false);
    }),
  );
});

test('a prefix as Go writes it is read like any other spelling of it', () => {
  const octet = fc.nat(255);
  const mask = fc.oneof(
    fc.nat(32).map((length) => [24, 16, 8, 0].map((shift) => (length === 0 ? 0 : (-1 << (32 - length)) >>> shift) & 0xff)),
    fc.tuple(octet, octet, octet, octet),
  );
  fc.assert(
    fc.property(fc.tuple(octet, octet, octet, octet), mask, (address, bytes) => {
      const cidr = { IP: address.join('.'), Mask: Buffer.from(bytes).toString('base64') };
      const claimed = (text: string) => nodeClaim(Buffer.from(`{"IPv4AllocCIDR":${text}}`), 'berlin', 7);
      const plain = claimed(JSON.stringify(cidr));
      const spaced = claimed(JSON.stringify(cidr, undefined, 1));
      expect(plain).toEqual(spaced);
      const ones = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
      expect(plain?.isPartial).toBe(!/^1*0*$/.test(ones));
    }),
  );
});
