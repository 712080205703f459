/** How long a program takes to start, and how long nothing is mirrored when one is replaced. */
import { keyOf, NO_LEASE } from '../../src/shared/etcd/types.ts';
import { connect } from '../ceiling.ts';
import { cluster } from '../dataset.ts';
import type { Etcd } from '../etcd.ts';
import type { Figure, Row, RunContext } from '../frame/row.ts';
import { median } from '../report.ts';
import { bareNodeMs, timed } from './bare-node.ts';
import { benchEtcd, filledSource, LOCAL, ROOT_USER, SOURCE, SOURCE_ID, startMirror, synced } from './mesh.ts';
import { Observer } from './observe.ts';

const STARTS = 5;
const PROBE = `nodes/v1/${SOURCE}/probe`;
const PATIENCE_MS = 120_000;

async function several(measure: () => Promise<number>): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < STARTS; i += 1) all.push(await measure());
  return median(all);
}

async function runStart(context: RunContext): Promise<Figure[]> {
  const { subject } = context;
  const base = { name: 'Node alone, node -e 0', value: await several(bareNodeMs) };
  const version = await several(async () => (await timed(subject.binary, ['version'])).ms);
  await using local = await benchEtcd(context, LOCAL);
  const ready = await several(async () => {
    await using daemon = await startMirror({ subject, local });
    return (await daemon.ready()) - daemon.startedMs;
  });
  return [
    { name: 'version', unit: 'ms', value: version, base, target: { of: 'value', atMost: 100 } },
    { name: 'no remotes, to ready', unit: 'ms', value: ready, base, target: { of: 'value', atMost: 400 } },
  ];
}

export const START_ROW: Row = {
  name: 'start',
  measures:
    'start of `version` to its end, and of a kvstoremesh without remote clusters to an answer of /readyz; median of 5 each',
  run: runStart,
};

/** A change that is made while no process runs. */
async function change(source: Etcd, value: string): Promise<void> {
  const client = connect(source.config(ROOT_USER));
  const put = { type: 'put', key: keyOf(`cilium/state/${PROBE}`), value: Buffer.from(value), lease: NO_LEASE } as const;
  await client.txn([put], { signal: AbortSignal.timeout(PATIENCE_MS) });
  client.close();
}

async function runRestart(context: RunContext): Promise<Figure[]> {
  const { keys } = context.options;
  const { subject } = context;
  const source = await context.keep('source', () => filledSource(context, cluster(SOURCE, SOURCE_ID, keys)));
  await using local = await benchEtcd(context, LOCAL);
  let daemon = await startMirror({ subject, local, source });
  await synced(local, daemon);
  const figures: Figure[] = [];
  const others = new Map<string, number>();
  try {
    for (const [signal, atMost] of [
      ['SIGTERM', 2],
      ['SIGKILL', 3],
    ] as const) {
      const base = {
        name: 'version of the same program',
        value: (await several(async () => (await timed(subject.binary, ['version'])).ms)) / 1000,
      };
      await using observer = await Observer.start(local);
      await observer.untilQuiet();
      const before = observer.dataEvents;
      const value = `${signal} ${context.round} ${subject.name}`.slice(0, 31);
      const startMs = performance.now();
      await daemon.end(signal);
      await change(source, value);
      await daemon[Symbol.asyncDispose]();
      daemon = await startMirror({ subject, local, source });
      const arrivedMs = await observer.untilValue(`cilium/cache/${PROBE}`, value, daemon.signal);
      await daemon.ready();
      await observer.untilQuiet();
      for (const [key, events] of observer.others) {
        const kind = key.split('/').slice(0, 2).join('/');
        others.set(kind, (others.get(kind) ?? 0) + events);
      }
      const target = { of: 'value', atMost } as const;
      figures.push(
        { name: `next change after ${signal}`, unit: 's', value: (arrivedMs - startMs) / 1000, base, target },
        {
          ...{ name: `data events after ${signal}`, unit: 'events', value: observer.dataEvents - before - 1 },
          target: { of: 'value', atMost: 0 },
        },
      );
    }
  } finally {
    await daemon[Symbol.asyncDispose]();
  }
  if (others.size > 0)
    context.note(`events of other keys in both restarts: ${[...others].map((each) => each.join(' ')).join(', ')}`);
  return figures;
}

export const RESTART_ROW: Row = {
  name: 'restart',
  measures:
    'a kvstoremesh with --keys unchanged keys is ended and started again: signal to the next mirrored change, and events of unchanged keys',
  run: runRestart,
};
