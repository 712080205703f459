import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type EtcdKey, keyOf } from '../../../src/shared/etcd/types.ts';
import { KeyIndex } from '../../../src/shared/publisher/store/key-index.ts';

/** An index, with its keys as their owner has them. */
class Owned {
  readonly keys = new Map<number, EtcdKey>();
  readonly index = new KeyIndex((slot, key) => this.keys.get(slot) === key);

  set(key: EtcdKey, slot: number): void {
    this.keys.set(slot, key);
    this.index.set(key, slot);
  }

  delete(key: EtcdKey): void {
    const slot = this.index.get(key);
    this.index.delete(key);
    if (slot !== undefined) this.keys.delete(slot);
  }
}

test('it finds what a Map finds, for any changes', () => {
  const change = fc.record({ number: fc.nat(300), isDeletion: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 2_000 }), (changes) => {
      const owned = new Owned();
      const model = new Map<EtcdKey, number>();
      for (const [at, { number, isDeletion }] of changes.entries()) {
        const key = keyOf(`cilium/cache/ip/v1/berlin/10.0.0.${number}`);
        if (isDeletion) {
          owned.delete(key);
          model.delete(key);
        } else if (!model.has(key)) {
          owned.set(key, at);
          model.set(key, at);
        }
        expect(owned.index.get(key)).toBe(model.get(key));
      }
      for (let number = 0; number <= 300; number += 1) {
        const key = keyOf(`cilium/cache/ip/v1/berlin/10.0.0.${number}`);
        expect(owned.index.get(key)).toBe(model.get(key));
      }
    }),
    { numRuns: 50 },
  );
});

test('a key may move to another slot', () => {
  const owned = new Owned();
  const key = keyOf('cilium/cache/nodes/v1/berlin/a');
  owned.set(key, 7);
  owned.keys.set(3, key);
  owned.index.set(key, 3);
  owned.keys.delete(7);
  expect(owned.index.get(key)).toBe(3);
  expect(owned.index.get(keyOf('cilium/cache/nodes/v1/berlin/b'))).toBeUndefined();
});

test('a hundred thousand keys are found, half of them after the others were removed', () => {
  const owned = new Owned();
  const keys = Array.from({ length: 100_000 }, (_, at) => keyOf(`k/${at}`));
  for (const [slot, key] of keys.entries()) owned.set(key, slot);
  for (const [slot, key] of keys.entries()) if (slot % 2 === 0) owned.delete(key);
  const wrong = keys.filter((key, slot) => owned.index.get(key) !== (slot % 2 === 0 ? undefined : slot));
  expect(wrong).toEqual([]);
});
