/**
 * Large meshes of simulated remote clusters that one kvstoremesh mirrors.
 *
 *   node bench/mesh/main.ts [--mesh pods,clusters,backends] [--scale 0.1] [--clusters N] [--seconds 30] [--json FILE]
 *
 * --scale multiplies the keys of each cluster, --clusters replaces their number.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { table } from '../report.ts';
import { MESHES } from './meshes.ts';
import { type MeshResult, runMesh } from './run.ts';

const { values } = parseArgs({
  options: {
    mesh: { type: 'string', default: MESHES.map(({ name }) => name).join() },
    scale: { type: 'string', default: '0.1' },
    clusters: { type: 'string' },
    seconds: { type: 'string', default: '30' },
    idle: { type: 'string', default: '30' },
    down: { type: 'string', default: '10' },
    json: { type: 'string' },
  },
});

// Its processes end with it.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const results: MeshResult[] = [];
for (const name of values.mesh.split(',')) {
  const mesh = MESHES.find((each) => each.name === name);
  if (mesh === undefined) throw new Error(`there is no mesh ${name}: ${MESHES.map((each) => each.name).join(', ')}`);
  const clusters = values.clusters === undefined ? mesh.clusters : Number(values.clusters);
  const options = {
    scale: Number(values.scale),
    seconds: Number(values.seconds),
    idleSeconds: Number(values.idle),
    downMs: Number(values.down) * 1000,
  };
  results.push(await runMesh({ ...mesh, clusters }, options, (line) => process.stderr.write(`${line}\n`)));
}

const rows: readonly (readonly [string, (result: MeshResult) => number])[] = [
  ['remote clusters', ({ clusters }) => clusters],
  ['keys', ({ keys }) => keys],
  ['full after s', ({ fill }) => fill.seconds],
  ['CPU s', ({ fill }) => fill.cpuSeconds],
  ['CPU µs of a key', ({ fill }) => fill.cpuMicrosecondsPerKey],
  ['memory MB', ({ idle }) => idle.memoryMegabytes],
  ['memory in use MB', ({ live }) => live.megabytes],
  ['peak memory MB', ({ fill }) => fill.peakMegabytes],
  ['etcd: CPU s', ({ fill }) => fill.etcdCpuSeconds],
  ['etcd: memory MB', ({ fill }) => fill.etcdMemoryMegabytes],
  ['etcd: data MB', ({ fill }) => fill.etcdDataMegabytes],
  ['idle: CPU %', ({ idle }) => idle.cpuPercent],
  ['idle: etcd CPU %', ({ idle }) => idle.etcdCpuPercent],
  ['changes/s', ({ churn }) => churn.changesPerSecond],
  ['CPU %', ({ churn }) => churn.cpuPercent],
  ['CPU µs of a change', ({ churn }) => churn.cpuMicrosecondsPerChange],
  ['etcd: CPU %', ({ churn }) => churn.etcdCpuPercent],
  ['lag p50 ms', ({ churn }) => churn.lagP50Ms],
  ['lag p99 ms', ({ churn }) => churn.lagP99Ms],
  ['/v1/cluster ms', ({ reports }) => reports.statusMs],
  ['/metrics ms', ({ reports }) => reports.metricsMs],
  ['all back: connected after s', ({ back }) => back.connectedSeconds],
  ['connections/s', ({ back }) => back.mostConnectionsPerSecond],
  ['writes for unchanged keys', ({ back }) => back.events],
  ['CPU s', ({ back }) => back.cpuSeconds],
  ['longest block CPU ms', ({ back }) => back.blocks.longestCpuMs],
  ['all replaced: listed after s', ({ replaced }) => replaced.readySeconds],
  ['writes for unchanged keys', ({ replaced }) => replaced.events],
  ['CPU s', ({ replaced }) => replaced.cpuSeconds],
  ['longest block CPU ms', ({ replaced }) => replaced.blocks.longestCpuMs],
];
const shown = (value: number) => (Number.isInteger(value) ? String(value) : value.toPrecision(3));
process.stdout.write(
  table(
    ['', ...results.map(({ name }) => name)],
    rows.map(([name, of]) => [name, ...results.map((result) => shown(of(result)))]),
  ),
);
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ scale: Number(values.scale), results }, undefined, 2)}\n`);
process.exit();
