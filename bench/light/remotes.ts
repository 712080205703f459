/**
 * Many small remote clusters compared with one large one that has as many keys, and many that are lost and back at once.
 *
 *   node bench/light/remotes.ts [--clusters 511] [--keys 2000] [--lost 50] [--idle 30]
 */
import { parseArgs } from 'node:util';
import { type Fill, measureFill, measureIdle, measureReports, measureReturn } from './measure.ts';
import { MeshRun } from './mesh-run.ts';
import { shapeOf } from './shape.ts';
import { LightSources } from './sources.ts';

export interface RemotesOptions {
  readonly clusters: number;
  /** Of each cluster. */
  readonly keys: number;
  /** Clusters that are lost and back at once. */
  readonly lost: number;
  readonly idleSeconds: number;
  readonly binary?: string;
  readonly flags?: readonly string[];
}

export interface RemotesFigure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly base?: { readonly name: string; readonly value: number };
  readonly target?: { readonly of: 'value' | 'ratio'; readonly atMost?: number; readonly atLeast?: number };
}

const DOWN_MS = 30_000;

/** The first load of one remote cluster with all the keys. */
export async function oneRemote({ clusters, keys, binary, flags = [] }: RemotesOptions): Promise<Fill> {
  await using sources = await LightSources.start([shapeOf(clusters * keys)]);
  await using mesh = await MeshRun.start({ sources, flags, ...(binary === undefined ? {} : { binary }) });
  return await measureFill(mesh, sources);
}

export async function manyRemotes(options: RemotesOptions, one: Fill): Promise<readonly RemotesFigure[]> {
  const { clusters, keys, lost, idleSeconds, binary, flags = [] } = options;
  await using sources = await LightSources.start(Array.from({ length: clusters }, () => shapeOf(keys)));
  await using mesh = await MeshRun.start({ sources, flags, ...(binary === undefined ? {} : { binary }) });
  const fill = await measureFill(mesh, sources);
  const idle = await measureIdle(mesh, idleSeconds);
  const reports = await measureReports(mesh);
  await mesh.follow();
  const back = await measureReturn(mesh, sources, { count: lost, downMs: DOWN_MS });
  const other = await measureReturn(mesh, sources, { count: lost, downMs: DOWN_MS, isReplaced: true });
  const base = (value: number) => ({ base: { name: 'one remote', value } });
  return [
    {
      name: 'keys a second',
      unit: 'keys/s',
      value: fill.keysPerSecond,
      ...base(one.keysPerSecond),
      target: { of: 'ratio', atLeast: 0.9 },
    },
    { name: 'CPU of a key', unit: 'µs', value: fill.cpuMicrosecondsPerKey, ...base(one.cpuMicrosecondsPerKey) },
    {
      name: 'memory after the load',
      unit: 'MB',
      value: fill.memoryMegabytes,
      ...base(one.memoryMegabytes),
      target: { of: 'value', atMost: 500 },
    },
    { name: 'peak memory', unit: 'MB', value: fill.peakMegabytes, ...base(one.peakMegabytes) },
    { name: 'CPU when idle', unit: '% of a core', value: idle.cpuPercent, target: { of: 'value', atMost: 2 } },
    { name: 'memory when idle', unit: 'MB', value: idle.memoryMegabytes, target: { of: 'value', atMost: 500 } },
    { name: '/v1/cluster', unit: 'ms', value: reports.status.ms, target: { of: 'value', atMost: 100 } },
    {
      name: '/v1/cluster, longest block',
      unit: 'CPU ms',
      value: reports.statusBlocks.longestCpuMs,
      target: { of: 'value', atMost: 20 },
    },
    { name: '/metrics', unit: 'ms', value: reports.metrics.ms, target: { of: 'value', atMost: 100 } },
    { name: '/metrics, size', unit: 'MB', value: reports.metrics.bytes / 1e6 },
    {
      name: '/metrics, longest block',
      unit: 'CPU ms',
      value: reports.metricsBlocks.longestCpuMs,
      target: { of: 'value', atMost: 20 },
    },
    ...[back, other].flatMap((each, at): RemotesFigure[] => {
      const what = `${lost} back at once${at === 0 ? '' : ' with another cluster ID'}`;
      return [
        { name: `${what}, all connected`, unit: 's', value: each.connectedSeconds },
        ...(at === 0 ? [] : [{ name: `${what}, all listed`, unit: 's', value: each.readySeconds }]),
        { name: `${what}, most connections`, unit: '/s', value: each.mostConnectionsPerSecond },
        { name: `${what}, writes for unchanged keys`, unit: 'events', value: each.events, target: { of: 'value', atMost: 0 } },
        { name: `${what}, transactions`, unit: '', value: each.transactions },
        { name: `${what}, longest block`, unit: 'CPU ms', value: each.blocks.longestCpuMs, target: { of: 'value', atMost: 50 } },
      ];
    }),
  ];
}

if (import.meta.main) {
  // Its processes end with it.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const { values } = parseArgs({
    options: {
      clusters: { type: 'string', default: '511' },
      keys: { type: 'string', default: '2000' },
      lost: { type: 'string', default: '50' },
      idle: { type: 'string', default: '30' },
    },
  });
  const [clusters, keys, lost, idleSeconds] = [values.clusters, values.keys, values.lost, values.idle].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  const options = { clusters, keys, lost, idleSeconds };
  const one = await oneRemote(options);
  process.stdout.write(`one remote: ${JSON.stringify(one)}\n`);
  for (const { name, unit, value, base } of await manyRemotes(options, one)) {
    const compared = base === undefined ? '' : ` (${base.name}: ${base.value.toPrecision(4)})`;
    process.stdout.write(`${name}: ${value.toPrecision(4)} ${unit}${compared}\n`);
  }
  process.exit();
}
