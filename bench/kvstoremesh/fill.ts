/** First fills: from the start of the process to its last canary, beside the same keys written straight into such an etcd. */
import { fill } from '../ceiling.ts';
import { cluster, type Entry } from '../dataset.ts';
import type { Figure, Row, RowContext, RunContext } from '../frame/row.ts';
import { cpuSeconds, memory } from '../usage.ts';
import { withBesideLoad } from './beside.ts';
import { benchEtcd, checkMirrored, filledSource, LOCAL, ROOT_USER, SOURCE, SOURCE_ID, startMirror, synced } from './mesh.ts';

const MILLION = 1_000_000;

interface Filled {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMegabytes: number;
}

/** One mirror of `source` into an empty etcd. */
async function mirrorOnce(context: RunContext, entries: Iterable<Entry>, keys: number): Promise<Filled> {
  const source = await context.keep(`source of ${keys}`, () => filledSource(context, entries));
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source });
  const seconds = ((await synced(local, daemon)) - daemon.startedMs) / 1000;
  const filled = { seconds, cpuSeconds: await cpuSeconds(daemon.pid), peakMegabytes: (await memory(daemon.pid)).peakMegabytes };
  await checkMirrored(local, keys);
  return filled;
}

interface Ceiling {
  readonly seconds: number;
  readonly cpuMicrosPerKey: number;
}

/** The same keys from memory, in full transactions with leases, straight into an etcd of the same kind. */
async function ceiling(context: RowContext, entries: readonly Entry[]): Promise<Ceiling> {
  await using etcd = await benchEtcd(context, LOCAL);
  const before = process.cpuUsage();
  const seconds = await fill(etcd.config(ROOT_USER), entries);
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpuMicrosPerKey: (user + system) / entries.length };
}

function megabytesOf(entries: Iterable<Entry>): number {
  return Iterator.from(entries).reduce((sum, { key, value }) => sum + key.length + value.length, 0) / 1e6;
}

async function fillBases(context: RowContext): Promise<Readonly<Record<string, number>>> {
  const entries = [...cluster(SOURCE, SOURCE_ID, context.options.keys)];
  const { seconds, cpuMicrosPerKey } = await ceiling(context, entries);
  return {
    'seconds of the ceiling': seconds,
    'keys/s of the ceiling': entries.length / seconds,
    'writing alone': cpuMicrosPerKey,
    'keys and values': megabytesOf(entries),
  };
}

async function runFill(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  const source = await context.keep(`source of ${keys}`, () => filledSource(context, cluster(SOURCE, SOURCE_ID, keys)));
  const filled = await withBesideLoad(context, source, () => mirrorOnce(context, cluster(SOURCE, SOURCE_ID, keys), keys));
  const { seconds, cpuSeconds: cpu, peakMegabytes } = filled;
  return [
    { name: 'start to last canary', unit: 's', value: seconds, base: context.base('seconds of the ceiling') },
    {
      ...{ name: 'rate', unit: 'keys/s', value: keys / seconds, base: context.base('keys/s of the ceiling') },
      target: { of: 'ratio', atLeast: 0.5 },
    },
    {
      ...{ name: 'CPU of a key', unit: 'µs', value: (cpu * 1e6) / keys, base: context.base('writing alone') },
      target: { of: 'value', atMost: 14 },
    },
    { name: 'peak memory', unit: 'MB', value: peakMegabytes, base: context.base('keys and values') },
  ];
}

export const FILL_ROW: Row = {
  name: 'fill',
  measures: 'a first fill of --keys keys: start of the process to the last canary in the local etcd',
  bases: fillBases,
  run: runFill,
};

async function runMillion(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  const small = await mirrorOnce(context, cluster(SOURCE, SOURCE_ID, keys), keys);
  const large = await mirrorOnce(context, cluster(SOURCE, SOURCE_ID, MILLION), MILLION);
  const bytes = { name: 'keys and values', value: megabytesOf(cluster(SOURCE, SOURCE_ID, MILLION)) };
  return [
    {
      ...{ name: 'rate', unit: 'keys/s', value: MILLION / large.seconds },
      base: { name: `keys/s of ${keys} keys`, value: keys / small.seconds },
      target: { of: 'ratio', atLeast: 0.8 },
    },
    { name: 'peak memory', unit: 'MB', value: large.peakMegabytes, base: bytes, target: { of: 'value', atMost: 600 } },
    {
      ...{ name: 'CPU of a key', unit: 'µs', value: (large.cpuSeconds * 1e6) / MILLION },
      base: { name: `CPU of a key of ${keys}`, value: (small.cpuSeconds * 1e6) / keys },
    },
  ];
}

export const MILLION_ROW: Row = {
  name: 'fill-million',
  measures: 'a first fill of 1,000,000 keys, beside one of --keys in the same round',
  isExtra: true,
  run: runMillion,
};
