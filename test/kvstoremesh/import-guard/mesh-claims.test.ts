import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AddressKey,
  addressKey,
  addressText,
  maskedPrefix,
  type Prefix,
} from '../../../src/kvstoremesh/import-guard/addresses.ts';
import { DuplicateIps } from '../../../src/kvstoremesh/import-guard/duplicate-ips.ts';
import { IdentityRange } from '../../../src/kvstoremesh/import-guard/identity-range.ts';
import { PodCidrs } from '../../../src/kvstoremesh/import-guard/pod-cidrs.ts';
import { type EtcdKey, keyOf } from '../../../src/shared/etcd/types.ts';

describe('the range of identities', () => {
  test.each([
    [255, 7, 458_752, 524_287],
    [255, 255, 16_711_680, 16_777_215],
    [511, 7, 229_376, 262_143],
    [511, 511, 16_744_448, 16_777_215],
  ])('of %i clusters, for the ID %i, goes from %i to %i', (max, id, first, last) => {
    const range = new IdentityRange(max);
    expect([first - 1, first, last, last + 1].map((identity) => range.isOf(id, identity))).toEqual([false, true, true, false]);
  });

  test('is not judged for a cluster without a possible ID', () => {
    expect(new IdentityRange(255).isOf(0, 70_000)).toBe(true);
    expect(new IdentityRange(255).isOf(900, 70_000)).toBe(true);
  });
});

describe('an address as the key of a map', () => {
  test.each([
    ['10.7.0.1', '10.7.0.1'],
    ['10.7.0.1/32', '10.7.0.1'],
    ['10.7.0.1/24', '10.7.0.0/24'],
    ['255.255.255.255', '255.255.255.255'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00::1', 'fd00::1'],
    ['FD00:0:0::1/128', 'fd00::1'],
    ['fd00::1/64', 'fd00::/64'],
    ['::ffff:10.7.0.1', '10.7.0.1'],
  ])('%s is that of %s', (text, canonical) => {
    expect(addressKey(text)).toBe(addressKey(canonical));
    expect(addressText(addressKey(text) as AddressKey)).toBe(canonical);
  });

  test.each([
    '',
    '10.7.0',
    '10.7.0.256',
    '10.7.0.01',
    '10.7.0.1.2',
    '1.2.3.4/33',
    '1.2.3.4/',
    '1.2.3.4/x',
    'fd00::1%eth0',
    'fd00:::1',
    'x',
    '/24',
    '..',
    '10.7..1',
  ])('%j is none', (text) => expect(addressKey(text)).toBeUndefined());
  test('is found for IPv6 as another implementation finds it', () => {
    const group = fc.constantFrom('', '0', '00', 'f', 'fd00', '12345', '1.2.3.4', 'g', ':');
    const texts = fc.oneof(
      fc.ipV6(),
      fc.array(group, { maxLength: 9 }).map((groups) => groups.join(':')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const key = addressKey(text);
        if (isIPv6(text)) {
          const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
          expect(key).toBe(addressKey(canonical));
          if (typeof key === 'string') expect(addressText(key)).toBe(canonical);
          else expect(canonical).toMatch(/^::ffff:/);
        } else if (text.includes(':')) expect(key).toBeUndefined();
      }),
      { numRuns: 3000 },
    );
  });
});

describe('addresses that several remotes claim', () => {
  const action = fc.record({
    kind: fc.constantFrom('claim', 'release', 'relist', 'forget'),
    owner: fc.integer({ min: 0, max: 3 }),
    address: fc.constantFrom<AddressKey[]>(1, -5, 'six', 'seven'),
    named: fc.subarray<AddressKey>([1, -5, 'six', 'seven']),
  });

  test('are tracked exactly, for any claims, releases, listings and removals', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const told = new Map<string, boolean>();
        const duplicates = new DuplicateIps((address, owners, left) => {
          if (left !== undefined) told.delete(`${left} ${address}`);
          for (const owner of owners) {
            if (owners.length > 1) told.set(`${owner} ${address}`, true);
            else told.delete(`${owner} ${address}`);
          }
        });
        const model = new Map([0, 1, 2, 3].map((owner) => [owner, new Set<AddressKey>()]));
        const listings = [0, 0, 0, 0];
        for (const { kind, owner, address, named } of actions) {
          const own = model.get(owner) as Set<AddressKey>;
          const listing = () => listings[owner] as number;
          if (kind === 'claim') {
            own.add(address);
            duplicates.claim(owner, address, listing());
          } else if (kind === 'release') {
            own.delete(address);
            duplicates.release(owner, address, listing());
          } else if (kind === 'forget') {
            own.clear();
            duplicates.forget(owner);
          } else {
            listings[owner] = listing() + 1;
            duplicates.begin(owner);
            own.clear();
            for (const each of named) {
              own.add(each);
              duplicates.claim(owner, each, listing());
            }
            duplicates.sweep(owner, listing());
          }
          const wanted: string[] = [];
          for (const [each, addresses] of model)
            for (const claimed of addresses) {
              const others = [...model].filter(([other, theirs]) => other !== each && theirs.has(claimed));
              if (others.length > 0) wanted.push(`${each} ${claimed}`);
            }
          expect([...told.keys()].sort()).toEqual(wanted.sort());
          expect(duplicates.size).toBe(new Set([...model.values()].flatMap((addresses) => [...addresses])).size);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('pod CIDRs', () => {
  const prefix = (text: string): Prefix => {
    const [address = '', length = ''] = text.split('/');
    const bits = address.includes(':') ? 128 : 32;
    const mask = Uint8Array.from(
      { length: bits / 8 },
      (_, i) => (0xff00 >> Math.min(8, Math.max(0, Number(length) - i * 8))) & 0xff,
    );
    const found = maskedPrefix(address, mask);
    if (found === undefined) throw new Error(`${text} is no prefix`);
    return found;
  };
  const start = () => {
    const overlaps = new Map<string, number>();
    const cidrs = new PodCidrs((owner, key, other) => {
      if (other === undefined) overlaps.delete(`${owner} ${key}`);
      else overlaps.set(`${owner} ${key}`, other);
    });
    return {
      cidrs,
      overlaps,
      set: (owner: number, key: string, texts: string[], listing = 0) => cidrs.set(owner, keyOf(key), texts.map(prefix), listing),
    };
  };

  test.each([
    ['equal', '10.7.0.0/24', '10.7.0.0/24', true],
    ['inside', '10.7.0.0/24', '10.0.0.0/8', true],
    ['around', '0.0.0.0/0', '10.7.0.0/24', true],
    ['beside', '10.7.0.0/24', '10.7.1.0/24', false],
    ['IPv6 inside', 'fd00:0:0:1::/64', 'fd00::/48', true],
    ['IPv6 beside', 'fd00:0:0:1::/64', 'fd00:0:0:2::/64', false],
    ['of another family', '::/0', '0.0.0.0/0', false],
  ])('%s: both are reported, with the other one, until one is removed', (_, a, b, isOverlap) => {
    const { cidrs, overlaps, set } = start();
    set(0, 'a', [a]);
    set(1, 'b', [b]);
    expect(Object.fromEntries(overlaps)).toEqual(isOverlap ? { '0 a': 1, '1 b': 0 } : {});
    cidrs.remove(0, keyOf('a'));
    expect([...overlaps]).toEqual([]);
  });

  test('of one cluster among each other are its own affair', () => {
    const { overlaps, set } = start();
    set(0, 'a', ['10.0.0.0/8']);
    set(0, 'b', ['10.7.0.0/24']);
    expect([...overlaps]).toEqual([]);
  });

  test('go with the listing that no longer names their node, and with their cluster', () => {
    const { cidrs, overlaps, set } = start();
    set(0, 'a', ['10.7.0.0/24']);
    set(1, 'b', ['10.7.0.0/25'], 1);
    set(1, 'c', ['10.7.0.128/25'], 2);
    cidrs.sweep(1, 2);
    expect([...overlaps.keys()].sort()).toEqual(['0 a', '1 c']);
    cidrs.forget(1);
    expect([...overlaps]).toEqual([]);
  });

  test('that overlap are tracked exactly, for any changes of nodes', () => {
    const texts = ['10.0.0.0/8', '10.7.0.0/16', '10.7.1.0/24', '10.7.2.0/24', '10.8.0.0/16', 'fd00::/48', 'fd00:0:0:1::/64'];
    const step = fc.record({
      owner: fc.integer({ min: 0, max: 2 }),
      key: fc.constantFrom('a', 'b', 'c'),
      cidrs: fc.subarray(texts, { maxLength: 2 }),
    });
    const bits = (text: string) => {
      const { bytes, length } = prefix(text);
      return `${bytes.length} ${[...bytes]
        .map((byte) => byte.toString(2).padStart(8, '0'))
        .join('')
        .slice(0, length)}`;
    };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { overlaps, set } = start();
        const model = new Map<string, string[]>();
        for (const { owner, key, cidrs } of steps) {
          set(owner, key, cidrs);
          model.set(`${owner} ${key}`, cidrs);
          const wanted = [...model].filter(([name, own]) =>
            [...model].some(
              ([otherName, others]) =>
                otherName[0] !== name[0] &&
                own.some((a) => others.some((b) => bits(a).startsWith(bits(b)) || bits(b).startsWith(bits(a)))),
            ),
          );
          expect([...overlaps.keys()].sort()).toEqual(wanted.map(([name]) => name).sort());
        }
      }),
      { numRuns: 500 },
    );
  });

  test('that overlap everything are named, and go without a look at everything', () => {
    const { cidrs, overlaps, set } = start();
    for (let i = 0; i < 5000; i += 1) set(0, `n${i}`, [`10.${i >> 8}.${i & 255}.0/24`]);
    set(1, 'all', ['0.0.0.0/0']);
    expect(overlaps.get('1 all')).toBe(0);
    expect(overlaps.size).toBeLessThan(20);
    cidrs.remove(1, 'all' as EtcdKey);
    expect([...overlaps]).toEqual([]);
  });
});
