import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rekey } from '../../../src/kvstoremesh/mappings.ts';
import { RefusedKeys } from '../../../src/kvstoremesh/mirror/refused-keys.ts';
import { RekeyStage } from '../../../src/kvstoremesh/mirror/rekey.ts';
import { type EtcdKey, keyOf } from '../../../src/shared/etcd/types.ts';
import { MAX_SLASHED_KEYS } from '../../../src/shared/limits.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';

const from = keyOf('cilium/state/nodes/v1/berlin/');
const to = keyOf('cilium/cache/nodes/v1/berlin/');

/** What is mirrored, with the rules of a section for listings. */
function start() {
  const held = new Map<EtcdKey, string>();
  const touched = new Set<EtcdKey>();
  let named = new Set<EtcdKey>();
  let collisions = 0;
  const next = {
    upsert: (key: EtcdKey, value: Uint8Array) => {
      held.set(key, Buffer.from(value).toString());
      touched.add(key);
      named.add(key);
    },
    remove: (key: EtcdKey) => {
      held.delete(key);
      touched.add(key);
    },
    keep: (key: EtcdKey) => void named.add(key),
    interrupted: () => {
      named = new Set();
    },
    listed: () => {
      for (const key of held.keys()) if (!named.has(key)) held.delete(key);
    },
  };
  const onRefused = (reason: string) => {
    if (reason === 'collision') collisions += 1;
  };
  const refused = new RefusedKeys({ log: silentLogger, onRefused });
  const section = { liveBytes: (key: EtcdKey) => (named.has(key) ? held.get(key)?.length : undefined) };
  const sink = new RekeyStage({ from, to, section, next, refused });
  const upsert = (own: string, value: string) => sink.upsert((from + own) as EtcdKey, Buffer.from(value));
  const remove = (own: string) => sink.remove((from + own) as EtcdKey);
  const owns = () => Object.fromEntries([...held].map(([key, value]) => [key.slice(to.length), value]));
  return { sink, upsert, remove, owns, held, touched, refused, collisions: () => collisions };
}

describe('of keys that differ in slashes only', () => {
  test('the one that is written as it is mirrored is mirrored, and the others are refused', () => {
    const { upsert, remove, owns, collisions } = start();
    upsert('a/b', 'plain');
    upsert('a//b', 'slashed');
    upsert('a/b/', 'third');
    expect(owns()).toEqual({ 'a/b': 'plain' });
    expect(collisions()).toBe(2);
    remove('a//b');
    expect(owns()).toEqual({ 'a/b': 'plain' });
    remove('a/b');
    expect(owns()).toEqual({});
  });

  test('the first is mirrored until the one that is written as it is mirrored comes', () => {
    const { upsert, remove, owns, collisions } = start();
    upsert('a//b', 'slashed');
    upsert('a/b/', 'third');
    expect(owns()).toEqual({ 'a/b': 'slashed' });
    expect(collisions()).toBe(1);
    upsert('a/b', 'plain');
    expect(owns()).toEqual({ 'a/b': 'plain' });
    expect(collisions()).toBe(2);
    upsert('a//b', 'slashed again');
    remove('a/b/');
    expect(owns()).toEqual({ 'a/b': 'plain' });
  });

  test('none inherits the mirrored key: the next change or listing decides', () => {
    const { sink, upsert, remove, owns } = start();
    upsert('a//b', 'slashed');
    upsert('a/b/', 'third');
    remove('a//b');
    expect(owns()).toEqual({});
    upsert('a/b/', 'third again');
    expect(owns()).toEqual({ 'a/b': 'third again' });
    upsert('a/b', 'plain');
    remove('a/b');
    expect(owns()).toEqual({});
    sink.interrupted('watch position lost');
    upsert('a/b/', 'third again');
    sink.listed();
    expect(owns()).toEqual({ 'a/b': 'third again' });
  });

  test('the refused one is named', () => {
    const { upsert, refused } = start();
    upsert('a/b', 'plain');
    upsert('a//b', 'slashed');
    expect(refused.problem).toMatch(/a\/\/b.*differs from another key in slashes only/);
  });

  test('a value that is too large keeps what is mirrored of that key, and of no other', () => {
    const { sink, upsert, remove, owns } = start();
    const keep = (name: string) => sink.keep((from + name) as EtcdKey);
    upsert('a//b', 'slashed');
    keep('a/b/');
    keep('a//b');
    expect(owns()).toEqual({ 'a/b': 'slashed' });
    remove('a/b/');
    expect(owns()).toEqual({ 'a/b': 'slashed' });
    remove('a//b');
    expect(owns()).toEqual({});
  });

  test('those that there is no room for are refused', () => {
    const { upsert, remove, owns, collisions } = start();
    for (let i = 0; i < MAX_SLASHED_KEYS + 5; i += 1) upsert(`n//${i}`, 'v');
    upsert('plain', 'v');
    expect(Object.keys(owns()).length).toBe(MAX_SLASHED_KEYS + 1);
    expect(collisions()).toBe(5);
    remove('n//0');
    upsert('n//more', 'v');
    expect(owns()['n/more']).toBe('v');
  });
});

const own = fc.oneof(
  fc.array(fc.constantFrom('/', '//', 'a', 'b', '.', '..', '\0', '\xff'), { maxLength: 4 }).map((parts) => parts.join('')),
  fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array).toString('latin1')),
);
const action = fc.oneof(
  fc.record({ kind: fc.constant('upsert' as const), own }),
  fc.record({ kind: fc.constant('remove' as const), own }),
  fc.record({ kind: fc.constant('relist' as const), lost: fc.array(own, { maxLength: 3 }) }),
);

test('for any history of a remote, each of its keys is mirrored below its own prefix and nothing else is', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const { sink, upsert, remove, held, touched } = start();
      const source = new Map<string, string>();
      // Mirrored keys of which a source key was removed since the last listing: those left need not be mirrored.
      const orphaned = new Set<EtcdKey>();
      const mirrored = (name: string) => rekey(from, to, (from + name) as EtcdKey);
      for (const [index, step] of actions.entries()) {
        if (step.kind === 'upsert') {
          source.set(step.own, String(index));
          upsert(step.own, String(index));
        } else if (step.kind === 'remove') {
          if (!source.delete(step.own)) continue;
          remove(step.own);
          const key = mirrored(step.own);
          if (key !== undefined) orphaned.add(key);
        } else {
          orphaned.clear();
          sink.interrupted('watch position lost');
          for (const lost of step.lost) source.delete(lost);
          for (const key of [...source.keys()].sort()) upsert(key, source.get(key) ?? '');
          sink.listed();
        }
        const wanted = new Map<EtcdKey, Set<string>>();
        for (const [name, value] of source) {
          const key = mirrored(name);
          if (key === undefined) continue;
          const plain = source.get(key.slice(to.length));
          wanted.set(key, plain === undefined ? (wanted.get(key) ?? new Set()).add(value) : new Set([plain]));
          if (plain !== undefined) expect(held.get(key)).toBe(plain);
        }
        for (const [key, value] of held) expect(wanted.get(key)?.has(value)).toBe(true);
        for (const key of wanted.keys()) expect(held.has(key) || orphaned.has(key)).toBe(true);
      }
      for (const key of touched) expect(key.startsWith(to) && key.length > to.length).toBe(true);
    }),
    { numRuns: 500 },
  );
});
