/** Memory of the daemon in use after a collection: heap and buffers, without what the runtime has reserved. */
import { expect, test } from 'vitest';
import { type Entry, enlarged } from '../support/kvstoremesh/cluster-keys.ts';
import type { KvstoremeshProcess } from '../support/kvstoremesh/kvstoremesh-process.ts';
import type { Remote, Store } from '../support/kvstoremesh/mesh-fixture.ts';
import { until } from '../support/until.ts';
import {
  bytesOf,
  deleteAll,
  entries,
  entryBytes,
  filledRemote,
  KEYS,
  localStore,
  mirrored,
  putAll,
  report,
  startedDaemon,
} from './mirrored-cluster.ts';

const GROWTH = 1.5;
const KIB = 1024;

/** The least of several samples: what is on its way when one is taken does not count. */
async function inUse(daemon: KvstoremeshProcess): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < 4; sample += 1) least = Math.min(least, (await daemon.memory()).usedBytes);
  return least;
}

/** Resolves when the daemon uses at most `bytes`; what it uses then, or uses still when it did not get there. */
async function settledBelow(daemon: KvstoremeshProcess, bytes: number): Promise<number> {
  let used = Number.POSITIVE_INFINITY;
  const isBelow = async () => {
    used = await inUse(daemon);
    return used <= bytes;
  };
  await until('memory is given back', isBelow, { withinMs: 15_000 }).catch(() => undefined);
  return used;
}

/** Bytes that a mirror of `remote` adds to a daemon without remotes. */
async function freshMirror(remote: Remote, keys: number): Promise<number> {
  const local = await localStore();
  await using daemon = await startedDaemon(local);
  const idle = await inUse(daemon);
  daemon.add(remote);
  await mirrored(daemon, remote, local, keys);
  return (await inUse(daemon)) - idle;
}

async function allMirrored(local: Store, wanted: readonly Entry[]): Promise<void> {
  const total = wanted.reduce((sum, { value }) => sum + value.length, 0);
  await until('every value is mirrored', async () => {
    const values = Object.values(await local.dump('cilium/cache/'));
    return values.length === wanted.length && values.reduce((sum, value) => sum + value.length, 0) === total;
  });
}

test('a key takes a bounded amount of memory, rewritten values take no more than new ones, and what goes comes back', async () => {
  const [remote, local] = [await filledRemote(), await localStore()];
  const daemon = await startedDaemon(local);
  const idle = await inUse(daemon);
  daemon.add(remote);
  await mirrored(daemon, remote, local);
  const filled = (await inUse(daemon)) - idle;
  report(
    `memory in use: ${(idle / KIB / KIB).toFixed(1)} MiB idle, ${(filled / KEYS).toFixed(0)} bytes a key of ${entryBytes / KEYS}`,
  );
  expect((filled - entryBytes) / KEYS, 'bytes of a key besides itself and its value').toBeLessThan(450);

  let larger: readonly Entry[] = entries;
  for (const times of [GROWTH, GROWTH * GROWTH]) {
    larger = entries.map((entry) => enlarged(entry, times));
    await putAll(remote, larger);
    await allMirrored(local, larger);
  }
  const freshLarger = await freshMirror(remote, KEYS);
  const rewritten = (await settledBelow(daemon, idle + freshLarger * 1.15)) - idle;
  report(
    `rewritten twice: ${rewritten} bytes in use, a fresh mirror of the same ${freshLarger}, keys and values ${bytesOf(larger)}`,
  );
  expect(rewritten / freshLarger, 'after rewriting, of a fresh mirror').toBeLessThan(1.25);

  const left = larger.filter((_, i) => i % 10 === 0);
  await deleteAll(
    remote,
    larger.filter((_, i) => i % 10 !== 0),
  );
  await allMirrored(local, left);
  const freshLeft = await freshMirror(remote, left.length);
  const reduced = (await settledBelow(daemon, idle + freshLeft + filled / 10)) - idle;
  report(`90 % gone: ${reduced} bytes in use, a fresh mirror of the rest ${freshLeft}`);
  expect(reduced - freshLeft, 'after most keys went, above a fresh mirror').toBeLessThan(rewritten / 5);
});
