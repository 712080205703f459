/** Rows of large meshes at a tenth of their keys; bench/mesh/main.ts takes other sizes. */
import type { Figure, Row } from '../frame/row.ts';
import { MESHES } from './meshes.ts';
import { type MeshResult, runMesh } from './run.ts';

const OPTIONS = { scale: 0.1, seconds: 30, idleSeconds: 30, downMs: 10_000 };

function figuresOf({ clusters, keys, fill, idle, live, churn, back, replaced }: MeshResult): readonly Figure[] {
  return [
    { name: 'remote clusters', unit: '', value: clusters },
    { name: 'keys', unit: '', value: keys },
    { name: 'full', unit: 's', value: fill.seconds },
    { name: 'CPU of a key', unit: 'µs', value: fill.cpuMicrosecondsPerKey },
    { name: 'etcd CPU of a key', unit: 'µs', value: (fill.etcdCpuSeconds / keys) * 1e6 },
    { name: 'memory', unit: 'MB', value: idle.memoryMegabytes },
    { name: 'memory in use', unit: 'MB', value: live.megabytes },
    { name: 'etcd memory', unit: 'MB', value: idle.etcdMemoryMegabytes },
    { name: 'etcd data', unit: 'MB', value: fill.etcdDataMegabytes },
    { name: 'CPU when idle', unit: '% of a core', value: idle.cpuPercent },
    { name: 'changes', unit: '/s', value: churn.changesPerSecond },
    { name: 'CPU of a change', unit: 'µs', value: churn.cpuMicrosecondsPerChange },
    { name: 'etcd CPU at these changes', unit: '% of a core', value: churn.etcdCpuPercent },
    { name: 'p50 of a change', unit: 'ms', value: churn.lagP50Ms },
    { name: 'p99 of a change', unit: 'ms', value: churn.lagP99Ms },
    { name: 'all lost and back, connected', unit: 's', value: back.connectedSeconds },
    { name: 'all lost and back, writes', unit: 'events', value: back.events, target: { of: 'value', atMost: 0 } },
    { name: 'all replaced, listed', unit: 's', value: replaced.readySeconds },
    { name: 'all replaced, writes', unit: 'events', value: replaced.events, target: { of: 'value', atMost: 0 } },
  ];
}

export const MESH_ROWS: readonly Row[] = MESHES.map((mesh) => ({
  name: `mesh-${mesh.name}`,
  measures: `${mesh.clusters} remote clusters at a tenth of their keys: load, idle, changes, all lost and back at once`,
  isExtra: true,
  accepts: ({ kind }) => kind !== 'peer',
  run: async ({ subject: { binary, flags }, note }) => figuresOf(await runMesh(mesh, { ...OPTIONS, binary, flags }, note)),
}));
