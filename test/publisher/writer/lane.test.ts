import { expect, test } from 'vitest';
import { type EtcdKey, keyOf, type Revision } from '../../../src/shared/etcd/types.ts';
import { silentLogger } from '../../../src/shared/process/log.ts';
import { SlabStore } from '../../../src/shared/publisher/store/slab.ts';
import { KeyGroup } from '../../../src/shared/publisher/writer/key-group.ts';
import type { Batch, Lane } from '../../../src/shared/publisher/writer/lane.ts';
import { LeasePool, UNLEASED } from '../../../src/shared/publisher/writer/lease-pool.ts';

const [A, B, C] = [keyOf('p/a'), keyOf('p/b'), keyOf('p/c')];

test('a key that changes while its write fails, however often, waits once', () => {
  const { group, change, take } = rig();
  change(A, 'first');
  for (let round = 0; round < 10; round += 1) {
    const batch = take();
    change(A, `round ${round}`);
    group.fail(batch);
  }
  expect(group.pendingCount).toBe(1);
});

test('a caller that waits for a failed write is notified when it succeeded, and not before', () => {
  const { group, change, take } = rig();
  const reached: string[] = [];
  change(A, 'first');
  group.whenSettled(() => reached.push('before the change'));
  const failing = take();
  change(A, 'second');
  change(B, 'first');
  group.whenSettled(() => reached.push('after the change'));
  group.fail(failing);
  expect(reached).toEqual([]);
  group.confirm(take(1), 1 as Revision);
  expect(reached).toEqual(['before the change']);
  group.confirm(take(1), 2 as Revision);
  expect(reached).toEqual(['before the change', 'after the change']);
  expect(group.pendingCount).toBe(0);
});

test('a lane that is never idle does not block waiting callers', () => {
  const { group, change, take } = rig();
  let isReached = false;
  change(A, 'first');
  const failing = take();
  change(A, 'second');
  group.fail(failing);
  group.whenSettled(() => {
    isReached = true;
  });
  const writing = take();
  change(B, 'later');
  group.confirm(writing, 1 as Revision);
  expect(isReached).toBe(true);
});

test.each(['confirmed', 'refused, then confirmed'])(
  'a caller that waits for a write is not notified because later keys needed no write (%s)',
  (how) => {
    const { group, change, take } = rig();
    const reached: string[] = [];
    change(A, 'first');
    group.whenSettled(() => reached.push('A'));
    for (const key of [B, C]) {
      change(key, 'taken back');
      group.undesire(key);
    }
    group.whenSettled(() => reached.push('all'));
    let writing = take();
    expect(writing.slots.length).toBe(1);
    expect(reached).toEqual([]);
    if (how !== 'confirmed') {
      group.fail(writing);
      expect(reached).toEqual([]);
      expect(group.pendingCount).toBe(1);
      writing = take();
    }
    group.confirm(writing, 1 as Revision);
    expect(reached).toEqual(['A', 'all']);
    expect(group.pendingCount).toBe(0);
  },
);

/** A group of one lane, of which etcd holds nothing. */
function rig() {
  const nobody = () => undefined;
  const observer = { transaction: nobody, syncError: nobody, repair: nobody, rejected: nobody, synced: nobody };
  const client = undefined as never;
  const leases = new LeasePool({ client, ttlSeconds: 900, keysPerLease: 1000, log: silentLogger, onLost: nobody });
  const options = { scope: 'nodes/v1', cluster: 'west', prefix: keyOf('p/'), owns: 'prefix' } as const;
  const group = new KeyGroup({ ...options, slabs: new SlabStore(), leases, log: silentLogger, observer, onPending: nobody }, 1);
  void group.known();
  const [lane] = group.lanes as readonly [Lane];
  return {
    group,
    change: (key: EtcdKey, value: string) => void group.desire(key, Buffer.from(value)),
    take: (operations = 10): Batch => {
      const batch = group.take(lane, operations, 1_000_000, { lease: UNLEASED, keys: operations });
      if (batch === undefined) throw new Error('nothing waits');
      return batch;
    },
  };
}
