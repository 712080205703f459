/**
 * The capacity model of docs/scale.md: each figure of a mesh as a constant, a part for each remote cluster and a part for each
 * key. It is fitted to the results of some runs of bench/mesh/main.ts and compared with those of others.
 *
 *   node bench/mesh/model.ts --fit a.json,b.json,c.json --check d.json
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { table } from '../report.ts';
import type { MeshResult } from './run.ts';

/** Constant, for a remote cluster, for a key. */
type Parts = readonly [number, number, number];

const FIGURES: readonly (readonly [string, (result: MeshResult) => number])[] = [
  ['first load, CPU s', ({ fill }) => fill.cpuSeconds],
  ['first load, etcd CPU s', ({ fill }) => fill.etcdCpuSeconds],
  ['memory in use, MB', ({ live }) => live.megabytes],
  ['resident memory, MB', ({ idle }) => idle.memoryMegabytes],
  ['etcd data, MB', ({ fill }) => fill.etcdDataMegabytes],
  ['etcd resident memory, MB', ({ idle }) => idle.etcdMemoryMegabytes],
  ['idle, CPU %', ({ idle }) => idle.cpuPercent],
  ['all lost and back, CPU s', ({ back }) => back.cpuSeconds],
];

/** The parts with the least sum of squared relative errors, none below 0. */
function estimate(points: readonly (readonly [MeshResult, number])[]): Parts {
  let [best, bestError]: [Parts, number] = [[0, 0, 0], Number.POSITIVE_INFINITY];
  // A part that would be below 0 is left out: of the seven choices of parts the best one counts.
  for (let chosen = 1; chosen < 8; chosen += 1) {
    const columns = [0, 1, 2].filter((column) => (chosen & (1 << column)) !== 0);
    const rows = points.map(([result, value]) => columns.map((column) => (termsOf(result)[column] ?? 0) / value));
    const solved = leastSquares(rows);
    if (solved === undefined || solved.some((part) => part < 0)) continue;
    const parts = [0, 1, 2].map((column) => solved[columns.indexOf(column)] ?? 0) as unknown as Parts;
    const error = points.reduce((sum, [result, value]) => sum + (predicted(parts, result) / value - 1) ** 2, 0);
    if (error < bestError) [best, bestError] = [parts, error];
  }
  return best;
}

function termsOf({ clusters, keys }: MeshResult): Parts {
  return [1, clusters, keys];
}

function predicted(parts: Parts, result: MeshResult): number {
  return termsOf(result).reduce((sum, term, at) => sum + term * (parts[at] ?? 0), 0);
}

/** Solves `rows · x = 1` by the normal equations; undefined if they have no single solution. */
function leastSquares(rows: readonly (readonly number[])[]): number[] | undefined {
  const size = rows[0]?.length ?? 0;
  const matrix = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (__, j) => rows.reduce((sum, row) => sum + (row[i] ?? 0) * (row[j] ?? 0), 0)),
    rows.reduce((sum, row) => sum + (row[i] ?? 0), 0),
  ]);
  for (let pivot = 0; pivot < size; pivot += 1) {
    const pivotRow = matrix[pivot] as number[];
    const divisor = pivotRow[pivot] ?? 0;
    if (Math.abs(divisor) < 1e-30) return undefined;
    for (let column = 0; column <= size; column += 1) pivotRow[column] = (pivotRow[column] ?? 0) / divisor;
    for (const [at, row] of matrix.entries()) {
      const factor = row[pivot] ?? 0;
      if (at === pivot) continue;
      for (let column = 0; column <= size; column += 1) row[column] = (row[column] ?? 0) - factor * (pivotRow[column] ?? 0);
    }
  }
  return matrix.map((row) => row[size] ?? 0);
}

function resultsOf(files: string): readonly MeshResult[] {
  return files.split(',').flatMap((file) => (JSON.parse(readFileSync(file, 'utf8')) as { results: MeshResult[] }).results);
}

const { values } = parseArgs({ options: { fit: { type: 'string', default: '' }, check: { type: 'string', default: '' } } });
const fitted = resultsOf(values.fit);
const checked = values.check === '' ? [] : resultsOf(values.check);
const lines = FIGURES.map(([name, of]) => {
  const parts = estimate(fitted.map((result) => [result, of(result)] as const));
  const checks = checked.flatMap((result) => {
    const [model, measured] = [predicted(parts, result), of(result)];
    return [model.toPrecision(3), measured.toPrecision(3), `${((model / measured - 1) * 100).toFixed(0)} %`];
  });
  return [name, parts[0].toPrecision(3), parts[1].toPrecision(3), (parts[2] * 1000).toPrecision(3), ...checks];
});
const headings = checked.flatMap(({ clusters, keys }) => [
  `${clusters} × ${Math.round(keys / clusters)}: model`,
  'measured',
  'error',
]);
process.stdout.write(table(['', 'constant', 'a remote', '1,000 keys', ...headings], lines));
