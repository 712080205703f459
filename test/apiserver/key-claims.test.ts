import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EarlierRun, KeyClaims } from '../../src/apiserver/key-claims.ts';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { recordingSink } from './recording-sink.ts';

const entry = (key: string, value: string) => ({ key: keyOf(key), value: Buffer.from(value) });

/** With `left`, what the run before has left in etcd, claims are a first listing. */
function setup(left?: Readonly<Record<string, string>>) {
  const sink = recordingSink();
  const compare: EarlierRun['compare'] = (key, value) => {
    const held = left?.[key];
    if (held === undefined) return 'absent';
    return held === Buffer.from(value).toString() ? 'same' : 'other';
  };
  const claims = new KeyClaims(sink, left && { compare });
  return {
    listed: () => [...claims.decide()],
    decide: () => claims.decide(),
    sink,
    claim: (owner: string, ...entries: ReturnType<typeof entry>[]) => claims.claim(owner, entries),
  };
}

test('the first to claim a key has it, and what the second says is not published', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'));
  claim('b', entry('ip', 'b1'));
  claim('b', entry('ip', 'b2'));
  expect(sink.texts()).toEqual({ ip: 'a1' });
  expect(sink.words).toEqual(['upsert ip']);
});

test('the owner of a claimed key may change its value', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'));
  claim('b', entry('ip', 'b1'));
  claim('a', entry('ip', 'a2'));
  expect(sink.texts()).toEqual({ ip: 'a2' });
});

test('when the owner lets go, the next in line follows with its latest value, and the key never vanishes', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'));
  claim('b', entry('ip', 'b1'));
  claim('c', entry('ip', 'c1'));
  claim('b', entry('ip', 'b2'));
  claim('a');
  expect(sink.texts()).toEqual({ ip: 'b2' });
  claim('b');
  expect(sink.texts()).toEqual({ ip: 'c1' });
  expect(sink.words).not.toContain('remove ip');
  claim('c');
  expect(sink.texts()).toEqual({});
});

test('one that leaves and returns is last in line', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'));
  claim('b', entry('ip', 'b1'));
  claim('a', entry('elsewhere', 'a2'));
  claim('a', entry('ip', 'a3'));
  expect(sink.texts()).toEqual({ ip: 'b1' });
});

test('one that waits may leave without notice', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'));
  claim('b', entry('ip', 'b1'));
  claim('b');
  expect(sink.words).toEqual(['upsert ip']);
  claim('a');
  expect(sink.texts()).toEqual({});
});

test('of a key that an object names twice the last value holds', () => {
  const { sink, claim } = setup();
  claim('a', entry('ip', 'a1'), entry('ip', 'a2'));
  expect(sink.texts()).toEqual({ ip: 'a2' });
});

test('in a first listing, who claims what the run before has published keeps the key, and nothing else is published of it', () => {
  const { sink, claim, listed } = setup({ ip: 'c1' });
  claim('a', entry('ip', 'a1'), entry('own', 'a'));
  claim('b', entry('ip', 'b1'));
  claim('c', entry('ip', 'c1'));
  expect(sink.texts()).toEqual({ own: 'a' });
  listed();
  listed();
  expect(sink.words).toEqual(['upsert own', 'upsert ip']);
  expect(sink.texts()).toEqual({ own: 'a', ip: 'c1' });
  claim('c');
  expect(sink.texts()).toEqual({ own: 'a', ip: 'a1' });
  claim('a');
  expect(sink.texts()).toEqual({ ip: 'b1' });
});

test('claims may change while it is being decided who comes first', () => {
  const { sink, claim, decide } = setup({ one: 'b1', two: 'b2', late: 'x' });
  claim('a', entry('one', 'a1'), entry('two', 'a2'));
  claim('b', entry('one', 'b1'), entry('two', 'b2'));
  const deciding = decide();
  deciding.next();
  expect(sink.texts()).toEqual({ one: 'b1' });
  claim('b', entry('one', 'b3'));
  claim('c', entry('late', 'c1'), entry('new', 'c2'));
  expect(sink.texts()).toEqual({ one: 'b3', new: 'c2' });
  expect([...deciding]).toEqual(['two', 'late']);
  expect(sink.texts()).toEqual({ one: 'b3', two: 'a2', late: 'c1', new: 'c2' });
});

test('where nobody claims what the run before has published, the first to claim has the key', () => {
  const { sink, claim, listed } = setup({ ip: 'gone', left: 'x', other: 'y' });
  claim('a', entry('ip', 'a1'), entry('left', 'a'), entry('other', 'a'));
  claim('b', entry('ip', 'b1'), entry('other', 'b'));
  claim('a', entry('ip', 'a2'));
  claim('b', entry('ip', 'b2'), entry('other', 'b2'));
  expect(sink.texts()).toEqual({});
  listed();
  expect(sink.texts()).toEqual({ ip: 'a2', other: 'b2' });
});

test.each([undefined, { k1: 'a0', k2: 'b7', k3: 'x' }])(
  'after a first listing over %j each key that is claimed has a value of one who claims it, and no other is published',
  (left) => {
    const owner = fc.constantFrom('a', 'b', 'c');
    const step = fc.tuple(owner, fc.uniqueArray(fc.constantFrom<string>('k1', 'k2', 'k3')));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.array(step, { maxLength: 20 }), (listing, changes) => {
        const { sink, claim, listed } = setup(left);
        const claimed = new Map<string, Map<string, string>>();
        const apply = (steps: readonly (readonly [string, string[]])[], from: number) => {
          for (const [turn, [who, keys]] of steps.entries()) {
            const entries = keys.map((key) => entry(key, `${who}${from + turn}`));
            claim(who, ...entries);
            claimed.set(who, new Map(entries.map(({ key, value }) => [key as string, value.toString()])));
          }
        };
        apply(listing, 0);
        listed();
        apply(changes, listing.length);
        for (const key of ['k1', 'k2', 'k3']) {
          const values = [...claimed.values()].flatMap((keys) => keys.get(key) ?? []);
          const published = sink.texts()[key];
          expect(published === undefined ? values : values.includes(published)).toEqual(published === undefined ? [] : true);
        }
      }),
    );
  },
);

test('what is published is what a plain list of claims says, after any history', () => {
  const owner = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.tuple(owner, fc.uniqueArray(fc.constantFrom<string>('k1', 'k2', 'k3')));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { sink, claim } = setup();
      const model = new Map<string, { owner: string; value: string }[]>();
      steps.forEach(([who, keys], turn) => {
        claim(who, ...keys.map((key) => entry(key, `${who}${turn}`)));
        for (const [key, line] of model) {
          if (!keys.includes(key))
            model.set(
              key,
              line.filter((claimed) => claimed.owner !== who),
            );
        }
        for (const key of keys) {
          const line = model.get(key) ?? [];
          const mine = line.find((claimed) => claimed.owner === who);
          if (mine) mine.value = `${who}${turn}`;
          else line.push({ owner: who, value: `${who}${turn}` });
          model.set(key, line);
        }
      });
      const expected = [...model].flatMap(([key, [first]]) => (first === undefined ? [] : [[key, first.value]]));
      expect(sink.texts()).toEqual(Object.fromEntries(expected));
    }),
  );
});
