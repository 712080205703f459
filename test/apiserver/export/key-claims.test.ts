import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EarlierRun, KeyClaims } from '../../../src/apiserver/export/key-claims.ts';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { recordingSink } from '../recording-sink.ts';

type Entries = readonly ReturnType<typeof entry>[];

const entry = (key: string, value: string) => ({ key: keyOf(key), value: Buffer.from(value) });

/**
 * Owners `a1`, `b5` and so on were created in the second that their name ends with, others in second 0. With `left`, what
 * the run before has left in etcd, claims are a first listing.
 */
function setup(left?: Readonly<Record<string, string>>) {
  const sink = recordingSink();
  const current = new Map<string, Entries>();
  const asked: string[] = [];
  const compare: EarlierRun['compare'] = (key, value) => {
    const held = left?.[key];
    if (held === undefined) return 'absent';
    return held === Buffer.from(value).toString() ? 'same' : 'other';
  };
  const claimants = {
    createdMs: (owner: string) => (current.has(owner) ? secondOf(owner) * 1000 : Number.NEGATIVE_INFINITY),
    entries: (owner: string) => {
      asked.push(owner);
      return current.get(owner) ?? [];
    },
  };
  const claims = new KeyClaims(sink, claimants, left && { compare });
  /** The object changes; what it claims then is looked at later. */
  const change = (owner: string, ...entries: Entries) => {
    if (entries.length === 0) current.delete(owner);
    else current.set(owner, entries);
  };
  return {
    listed: () => [...claims.decide()],
    decide: () => claims.decide(),
    sink,
    asked,
    change,
    claim: (owner: string, ...entries: Entries) => {
      change(owner, ...entries);
      claims.claim(owner, entries);
    },
  };
}

const secondOf = (owner: string) => Number(/\d+$/.exec(owner)?.[0] ?? 0);

test('the object created last owns a key, in any order of claims, and the value of the older one is not published', () => {
  const { sink, claim } = setup();
  claim('old-1', entry('ip', 'old'));
  claim('young-2', entry('ip', 'young'));
  claim('old-1', entry('ip', 'old again'));
  claim('older-0', entry('ip', 'older'));
  expect(sink.texts()).toEqual({ ip: 'young' });
  expect(sink.words).toEqual(['upsert ip', 'upsert ip']);
});

test('of those created in one second the last in the order of their names has it', () => {
  for (const order of [
    ['a', 'b', 'c'],
    ['c', 'a', 'b'],
    ['b', 'c', 'a'],
  ]) {
    const { sink, claim } = setup();
    for (const owner of order) claim(owner, entry('ip', owner));
    expect(sink.texts()).toEqual({ ip: 'c' });
  }
});

test('the owner of a claimed key may change its value', () => {
  const { sink, claim } = setup();
  claim('b2', entry('ip', 'b'));
  claim('a1', entry('ip', 'a'));
  claim('b2', entry('ip', 'b again'));
  expect(sink.texts()).toEqual({ ip: 'b again' });
});

test('when the owner releases a key, the next youngest follows with its latest value, and the key never disappears', () => {
  const { sink, claim } = setup();
  claim('c3', entry('ip', 'c'));
  claim('a1', entry('ip', 'a'));
  claim('b2', entry('ip', 'b'));
  claim('b2', entry('ip', 'b again'));
  claim('c3');
  expect(sink.texts()).toEqual({ ip: 'b again' });
  claim('b2');
  expect(sink.texts()).toEqual({ ip: 'a' });
  expect(sink.words).not.toContain('remove ip');
  claim('a1');
  expect(sink.texts()).toEqual({});
});

test('one that was overtaken has the key back with what it exports then', () => {
  const { sink, claim } = setup();
  claim('a1', entry('ip', 'a'));
  claim('b2', entry('ip', 'b'));
  claim('b2', entry('elsewhere', 'b'));
  expect(sink.texts()).toEqual({ ip: 'a', elsewhere: 'b' });
  expect(sink.words).toEqual(['upsert ip', 'upsert ip', 'upsert ip', 'upsert elsewhere']);
});

test('one that is asked for its value exports nothing any more, and the next one follows', () => {
  const { sink, claim, change } = setup();
  claim('a1', entry('ip', 'a'));
  claim('b2', entry('ip', 'b'));
  claim('c3', entry('ip', 'c'));
  change('b2');
  claim('c3');
  expect(sink.texts()).toEqual({ ip: 'a' });
  claim('b2');
  claim('a1', entry('ip', 'a again'));
  expect(sink.texts()).toEqual({ ip: 'a again' });
});

test('an object that is recreated under its name has its new age', () => {
  const sink = recordingSink();
  const created = new Map([['a', 1]]);
  const claims = new KeyClaims(sink, { createdMs: (owner) => created.get(owner) ?? 2, entries: () => [] });
  claims.claim('a', [entry('ip', 'a')]);
  claims.claim('b', [entry('ip', 'b')]);
  expect(sink.texts()).toEqual({ ip: 'b' });
  created.set('a', 3);
  claims.claim('a', [entry('ip', 'a again')]);
  expect(sink.texts()).toEqual({ ip: 'a again' });
});

test('one that waits may leave without notice', () => {
  const { sink, claim } = setup();
  claim('b2', entry('ip', 'b'));
  claim('a1', entry('ip', 'a'));
  claim('a1');
  expect(sink.words).toEqual(['upsert ip']);
  claim('b2');
  expect(sink.texts()).toEqual({});
});

test('of a key that an object names twice the last value holds', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'first'), entry('ip', 'last'));
  expect(sink.texts()).toEqual({ ip: 'last' });
});

test('an object that releases many keys requests the entries of the next owner once', () => {
  const { sink, asked, claim } = setup();
  const entries = (value: string) => Array.from({ length: 100 }, (_, index) => entry(`ip-${index}`, value));
  claim('a1', ...entries('a'));
  claim('b2', ...entries('b'));
  claim('b2');
  expect(new Set(Object.values(sink.texts()))).toEqual(new Set(['a']));
  expect(asked).toEqual(['a1']);
});

test('across a restart the youngest keeps its key, and no other value is published', () => {
  const { sink, claim, listed } = setup({ ip: 'c' });
  claim('a1', entry('ip', 'a'), entry('own', 'a'));
  claim('c3', entry('ip', 'c'));
  claim('b2', entry('ip', 'b'));
  expect(sink.texts()).toEqual({ own: 'a' });
  listed();
  listed();
  expect(sink.words).toEqual(['upsert own', 'upsert ip']);
  expect(sink.texts()).toEqual({ own: 'a', ip: 'c' });
  claim('c3');
  expect(sink.texts()).toEqual({ own: 'a', ip: 'b' });
});

test('after a restart a key moves from an obsolete owner to one created in the meantime, in one change', () => {
  const { sink, claim, listed } = setup({ ip: 'dead' });
  claim('dead-1', entry('ip', 'dead'));
  claim('alive-3', entry('ip', 'alive'));
  claim('other-2', entry('ip', 'other'));
  listed();
  expect(sink.words).toEqual(['upsert ip', 'upsert ip']);
  expect(sink.texts()).toEqual({ ip: 'alive' });
});

test('claims may change while it is being decided who has a key', () => {
  const { sink, claim, decide } = setup({ one: 'b', two: 'b', late: 'x' });
  claim('a1', entry('one', 'a'), entry('two', 'a'));
  claim('b2', entry('one', 'b'), entry('two', 'b'));
  const deciding = decide();
  deciding.next();
  expect(sink.texts()).toEqual({ one: 'b' });
  claim('b2', entry('one', 'b again'));
  claim('c3', entry('late', 'c'), entry('new', 'c'));
  expect(sink.texts()).toEqual({ one: 'b', new: 'c' });
  expect([...deciding].sort()).toEqual(['late', 'one', 'two']);
  expect(sink.texts()).toEqual({ one: 'b again', two: 'a', late: 'c', new: 'c' });
});

test('if the previously published value has no claim, the youngest owns the key', () => {
  const { sink, claim, listed } = setup({ ip: 'gone', left: 'x', other: 'y' });
  claim('b2', entry('ip', 'b'), entry('other', 'b'));
  claim('a1', entry('ip', 'a'), entry('left', 'a'), entry('other', 'a'));
  claim('b2', entry('ip', 'b again'));
  claim('a1', entry('ip', 'a'), entry('other', 'a'));
  expect(sink.texts()).toEqual({});
  listed();
  expect(sink.texts()).toEqual({ ip: 'b again', other: 'a' });
});

test.each([undefined, { k1: 'a0', k2: 'b7', k3: 'x' }])(
  'after any history over %j each key has the value of the youngest of those who claim it, and no other key is published',
  (left) => {
    const owner = fc.constantFrom('a1', 'b1', 'c2', 'd0');
    const step = fc.tuple(owner, fc.uniqueArray(fc.constantFrom<string>('k1', 'k2', 'k3')), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 15 }), fc.array(step, { maxLength: 30 }), (listing, changes) => {
        const { sink, claim, change, listed } = setup(left);
        const claimed = new Map<string, Entries>();
        const apply = (steps: typeof listing, from: number) => {
          for (const [turn, [who, keys, isLate]] of steps.entries()) {
            const entries = keys.map((key) => entry(key, `${who}${from + turn}`));
            if (isLate) change(who, ...entries);
            else claim(who, ...entries);
            claimed.set(who, entries);
          }
          for (const [who, entries] of claimed) claim(who, ...entries);
        };
        apply(listing, 0);
        listed();
        apply(changes, listing.length);
        const expected: Record<string, string> = {};
        const byAge = [...claimed].sort(([a], [b]) => secondOf(a) - secondOf(b) || (a < b ? -1 : 1));
        for (const [, entries] of byAge) for (const { key, value } of entries) expected[key] = value.toString();
        expect(sink.texts()).toEqual(expected);
      }),
    );
  },
);
