/** Resident memory with many keys, after they were rewritten and after most of them went, beside fresh mirrors of the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, fill } from '../ceiling.ts';
import { cluster, type Entry, enlarged } from '../dataset.ts';
import type { Etcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { cpuSeconds, memory } from '../usage.ts';
import { bareNode } from './bare-node.ts';
import { benchEtcd, filledSource, LOCAL, ROOT_USER, SOURCE, SOURCE_ID, startMirror, synced } from './mesh.ts';
import { Observer } from './observe.ts';

/** What V8 and the allocator return of themselves is returned by then. */
const SETTLE_MS = 5_000;
const IDLE_MS = 10_000;
/** A size class and more, whatever the classes are. */
const GROWTH = 1.5;
const DELETES_PER_TRANSACTION = 128;

/** Resident megabytes of a new mirror of `source`, settled, and its peak. */
async function fresh(context: RunContext, source: Etcd): Promise<{ settled: number; peak: number }> {
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source });
  await synced(local, daemon);
  await sleep(SETTLE_MS);
  const { residentMegabytes, peakMegabytes } = await memory(daemon.pid);
  return { settled: residentMegabytes, peak: peakMegabytes };
}

async function remove(etcd: Etcd, entries: readonly Entry[]): Promise<void> {
  const client = connect(etcd.config(ROOT_USER));
  const { signal } = new AbortController();
  for (let at = 0; at < entries.length; at += DELETES_PER_TRANSACTION) {
    const slice = entries.slice(at, at + DELETES_PER_TRANSACTION);
    await client.txn(
      slice.map(({ key }) => ({ type: 'delete', key })),
      { signal },
    );
  }
  client.close();
}

async function runMemory(context: RunContext): Promise<Figure[]> {
  const entries = [...cluster(SOURCE, SOURCE_ID, context.options.keys)];
  const megabytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0) / 1e6;
  await using source = await filledSource(context, entries);
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source });
  await synced(local, daemon);
  const signal = AbortSignal.any([context.signal, daemon.signal]);
  const settled = async () => {
    await sleep(SETTLE_MS);
    return (await memory(daemon.pid)).residentMegabytes;
  };
  const filled = await settled();
  const { peakMegabytes: peak } = await memory(daemon.pid);
  for (const times of [GROWTH, GROWTH * GROWTH]) {
    await using observer = await Observer.start(local);
    const larger = Iterator.from(entries).map((entry) => enlarged(entry, times));
    await fill(source.config(ROOT_USER), larger);
    await observer.untilKeys(entries.length, signal);
  }
  const rewritten = await settled();
  const freshRewritten = (await fresh(context, source)).settled;
  const gone = entries.filter((_, i) => i % 10 !== 0);
  {
    await using observer = await Observer.start(local);
    await remove(source, gone);
    await observer.untilKeys(gone.length, signal, 'delete');
  }
  const reduced = await settled();
  const freshReduced = (await fresh(context, source)).settled;
  const bytes = { name: 'keys and values', value: megabytes };
  return [
    { name: 'filled, peak', unit: 'MB', value: peak, base: bytes, target: { of: 'value', atMost: 140 } },
    { name: 'filled', unit: 'MB', value: filled, base: bytes },
    {
      ...{ name: 'all values rewritten twice', unit: 'MB', value: rewritten },
      ...{ base: { name: 'a fresh mirror of the same', value: freshRewritten }, target: { of: 'ratio', atMost: 1.15 } },
    },
    {
      ...{ name: '90 % of the keys gone', unit: 'MB', value: reduced },
      ...{ base: { name: 'a fresh mirror of the rest', value: freshReduced }, target: { of: 'difference', atMost: 25 } },
    },
  ];
}

export const MEMORY_ROW: Row = {
  name: 'memory',
  measures: 'resident memory at --keys keys, after all values were rewritten twice and larger, and after 90 % of the keys went',
  run: runMemory,
};

async function runIdle(context: RunContext): Promise<Figure[]> {
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local });
  using bare = bareNode();
  await daemon.ready();
  const [before, bareBefore] = [await cpuSeconds(daemon.pid), await cpuSeconds(bare.pid)];
  await sleep(IDLE_MS);
  const { residentMegabytes } = await memory(daemon.pid);
  const base = { name: 'Node alone', value: (await memory(bare.pid)).residentMegabytes };
  const percent = async (pid: number, since: number) => (((await cpuSeconds(pid)) - since) / (IDLE_MS / 1000)) * 100;
  const cpu = { value: await percent(daemon.pid, before), base: { name: base.name, value: await percent(bare.pid, bareBefore) } };
  return [
    { name: 'resident', unit: 'MB', value: residentMegabytes, base, target: { of: 'value', atMost: 70 } },
    { name: 'CPU', unit: '% of a core', ...cpu },
  ];
}

export const IDLE_ROW: Row = {
  name: 'idle',
  measures: 'resident memory of a kvstoremesh without remote clusters, 10 s after it was ready, and its processor time',
  run: runIdle,
};
