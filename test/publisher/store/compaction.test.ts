import { expect, onTestFinished, test } from 'vitest';
import { keyOf } from '../../../src/shared/etcd/types.ts';
import { COMPACTION_INTERVAL_MS } from '../../../src/shared/limits.ts';
import { runCompaction } from '../../../src/shared/publisher/store/compaction.ts';
import { KeyTable } from '../../../src/shared/publisher/store/key-table.ts';
import { SlabStore } from '../../../src/shared/publisher/store/slab.ts';
import { Turns } from '../../../src/shared/time/turns.ts';
import { ManualClock } from '../../support/clocks.ts';

const VALUE = Buffer.alloc(2_000);

/** A table of `count` keys with a compaction at work. */
function compacted(count: number) {
  const clock = new ManualClock();
  const slabs = new SlabStore();
  const table = new KeyTable(slabs);
  const stop = new AbortController();
  let collections = 0;
  const running = runCompaction(
    { slabs, tables: () => [table], clock, turns: new Turns(clock), collect: () => (collections += 1) },
    stop.signal,
  );
  onTestFinished(async () => {
    stop.abort();
    await running;
  });
  for (let i = 0; i < count; i += 1) table.desire(table.ensure(keyOf(`k${i}`), VALUE.length), VALUE);
  return {
    /** Keys from `from` on are gone. */
    leave(from: number): void {
      for (let i = from; i < count; i += 1) {
        const slot = table.slotOf(keyOf(`k${i}`));
        if (slot === undefined) continue;
        table.undesire(slot);
        table.releaseIfEmpty(slot);
      }
    },
    async rounds(number: number): Promise<number> {
      for (let i = 0; i < number; i += 1) await clock.advance(COMPACTION_INTERVAL_MS);
      return collections;
    },
  };
}

test('garbage is collected once where most of the keys went, after the last of them', async () => {
  const keys = compacted(20_000);
  expect(await keys.rounds(3)).toBe(0);
  keys.leave(9_000);
  expect(await keys.rounds(1)).toBe(0);
  keys.leave(4_000);
  expect(await keys.rounds(1)).toBe(0);
  expect(await keys.rounds(5)).toBe(1);
});

test('it is not collected where a part of the keys went, or where there were few', async () => {
  const many = compacted(20_000);
  await many.rounds(1);
  many.leave(14_000);
  expect(await many.rounds(5)).toBe(0);
  const few = compacted(2_000);
  await few.rounds(1);
  few.leave(0);
  expect(await few.rounds(5)).toBe(0);
});
