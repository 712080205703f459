import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyClaims } from '../../src/apiserver/key-claims.ts';
import { keyOf } from '../../src/shared/etcd/types.ts';
import { recordingSink } from './recording-sink.ts';

const entry = (key: string, value: string) => ({ key: keyOf(key), value: Buffer.from(value) });

function setup() {
  const sink = recordingSink();
  const claims = new KeyClaims(sink);
  return { sink, claim: (owner: string, ...entries: ReturnType<typeof entry>[]) => claims.claim(owner, entries) };
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
