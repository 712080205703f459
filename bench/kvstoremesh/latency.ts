/** How long a change takes from the put at the remote etcd to the event at a watcher of the local one. */
import { cluster } from '../dataset.ts';
import type { Etcd } from '../etcd.ts';
import type { Figure, Row, RowContext, RunContext } from '../frame/row.ts';
import { type LoadResult, runLoad } from '../load/load.ts';
import { withBesideLoad } from './beside.ts';
import { benchEtcd, filledSource, LOCAL, ROOT_USER, SOURCE, SOURCE_ID, startMirror, synced } from './mesh.ts';

const STATE = 'cilium/state/ip/v1/';
const CACHE = `cilium/cache/ip/v1/${SOURCE}/`;

/** Targets of p99, in milliseconds; the lone change is compared with the hops. */
const RATES = [
  { rate: 200, p99Ms: undefined },
  { rate: 3_000, p99Ms: 15 },
  { rate: 10_000, p99Ms: 40 },
] as const;

/** Of the doubling: the first rate, the last one, and p99 of a rate that is not sustained. */
const FIRST_RATE = 1_250;
const LAST_RATE = 160_000;
const TOO_LATE_MS = 250;
/** Below this share of the rate, the writer or the etcd that it writes to is the limit. */
const SENT_SHARE = 0.95;

function source(context: RowContext): Promise<Etcd> {
  const { keys } = context.options;
  return context.keep('source', () => filledSource(context, cluster(SOURCE, SOURCE_ID, keys)));
}

/** Changes of one etcd, seen by a watcher of the same etcd. */
function oneHop(context: RowContext, etcd: Etcd, rate: number, seconds: number): Promise<LoadResult> {
  const config = etcd.config(ROOT_USER);
  const { keys } = context.options;
  const pids = { etcd: etcd.pid };
  return runLoad({
    ...{ target: config, watched: config, prefix: STATE, rate, seconds, pids },
    ...{ id: SOURCE_ID, keys, signal: context.signal },
  });
}

async function twoHops(context: RowContext): Promise<Readonly<Record<string, number>>> {
  const { seconds } = context.options;
  const bases: Record<string, number> = {};
  // Neither etcd has a mirror: the first of the pair stands for the remote one, the second for the local one.
  const pair = [
    await source(context),
    await context.keep('second', () => filledSource(context, cluster(SOURCE, SOURCE_ID, context.options.keys))),
  ];
  for (const { rate } of RATES) {
    const hops: LoadResult[] = [];
    for (const etcd of pair) hops.push(await oneHop(context, etcd, rate, Math.max(3, Math.ceil(seconds / 2))));
    for (const name of ['p50Ms', 'p99Ms', 'maxMs', 'drainMs'] as const)
      bases[`two hops, ${name.slice(0, -2)} at ${rate}/s`] = hops.reduce((sum, hop) => sum + hop[name], 0);
  }
  return bases;
}

async function runLatency(context: RunContext): Promise<Figure[]> {
  const { keys, seconds } = context.options;
  const remote = await source(context);
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source: remote });
  await synced(local, daemon);
  const figures: Figure[] = [];
  for (const { rate, p99Ms } of RATES) {
    const load = await withBesideLoad(context, remote, () =>
      runLoad({
        ...{
          target: remote.config(ROOT_USER),
          watched: local.config(ROOT_USER),
          prefix: CACHE,
          id: SOURCE_ID,
          keys,
          rate,
          seconds,
        },
        pids: { mirror: daemon.pid, remote: remote.pid, local: local.pid },
        signal: AbortSignal.any([context.signal, daemon.signal]),
      }),
    );
    const [at, base] = [`at ${rate}/s`, (name: string) => context.base(`two hops, ${name} at ${rate}/s`)];
    figures.push(
      {
        ...{ name: `p50 ${at}`, unit: 'ms', value: load.p50Ms, base: base('p50') },
        ...(p99Ms === undefined ? { target: { of: 'ratio', atMost: 1.25 } } : {}),
      },
      {
        ...{ name: `p99 ${at}`, unit: 'ms', value: load.p99Ms, base: base('p99') },
        target: p99Ms === undefined ? { of: 'ratio', atMost: 2 } : { of: 'value', atMost: p99Ms },
      },
      { name: `max ${at}`, unit: 'ms', value: load.maxMs, base: base('max') },
      { name: `drained after the last put ${at}`, unit: 'ms', value: load.drainMs, base: base('drain') },
      { name: `left 100 ms after the last put ${at}`, unit: 'changes', value: load.left, target: { of: 'value', atMost: 0 } },
      { name: `lost ${at}`, unit: 'changes', value: load.lost, target: { of: 'value', atMost: 0 } },
    );
    context.note(`${at}: ${sent(load)}; ${shares(load)}`);
  }
  return figures;
}

function sent({ sentPerSecond, writerLateMs, superseded, failed }: LoadResult): string {
  const replaced = superseded === 0 ? '' : `, ${superseded} changes superseded by a later one of the same key`;
  const rejected = failed === 0 ? '' : `, ${failed} changes rejected by the remote etcd`;
  return `${sentPerSecond.toFixed(0)} sent a second, the writer at most ${writerLateMs.toFixed(0)} ms late${replaced}${rejected}`;
}

function shares({ cpus }: LoadResult): string {
  return `cores used: ${Object.entries(cpus)
    .map(([name, share]) => `${name} ${share.toFixed(2)}`)
    .join(', ')}`;
}

export const LATENCY_ROW: Row = {
  name: 'latency',
  measures:
    'put at the remote etcd to event at a watcher of the local one, at 200, 3,000 and 10,000 changes a second for --seconds',
  bases: twoHops,
  run: runLatency,
};

/** Doubles the rate until p99 is too late or the changes cannot be sent; the highest rate before that, and what ended it. */
async function highestRate(load: (rate: number) => Promise<LoadResult>): Promise<{ rate: number; end: string }> {
  let sustained = 0;
  for (let rate = FIRST_RATE; rate <= LAST_RATE; rate *= 2) {
    const result = await load(rate);
    const isSent = result.failed === 0 && result.sentPerSecond >= rate * SENT_SHARE;
    if (isSent && result.p99Ms <= TOO_LATE_MS) sustained = rate;
    else
      return {
        rate: sustained,
        end: `ended at ${rate}/s: p99 ${result.p99Ms.toFixed(0)} ms, ${sent(result)}; ${shares(result)}`,
      };
  }
  return { rate: sustained, end: `did not end at ${LAST_RATE}/s` };
}

function rateSeconds({ options: { seconds } }: RowContext): number {
  return Math.max(3, Math.ceil(seconds / 2));
}

async function runRate(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  const remote = await source(context);
  await using local = await benchEtcd(context, LOCAL);
  await using daemon = await startMirror({ subject: context.subject, local, source: remote });
  await synced(local, daemon);
  const { rate, end } = await highestRate((tried) =>
    runLoad({
      ...{ target: remote.config(ROOT_USER), watched: local.config(ROOT_USER), prefix: CACHE, id: SOURCE_ID, keys, rate: tried },
      ...{ seconds: rateSeconds(context), pids: { mirror: daemon.pid, remote: remote.pid, local: local.pid } },
      signal: AbortSignal.any([context.signal, daemon.signal]),
    }),
  );
  context.note(end);
  const base = context.base('one etcd alone');
  return [{ name: 'highest sustained', unit: 'changes/s', value: rate, base, target: { of: 'value', atLeast: 20_000 } }];
}

export const RATE_ROW: Row = {
  name: 'rate',
  measures: 'the highest rate of changes, doubled until p99 passes 250 ms, and the processor time of each process at the end',
  bases: async (context) => {
    const etcd = await source(context);
    const { rate, end } = await highestRate((tried) => oneHop(context, etcd, tried, rateSeconds(context)));
    context.note(`one etcd alone ${end}`);
    return { 'one etcd alone': rate };
  },
  run: runRate,
};
