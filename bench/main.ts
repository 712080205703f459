/**
 * The bench: how fast and how large kvstoremesh and clustermesh are, on real etcd processes, each figure beside what the same
 * machine did in the same round without them. docs/performance.md explains the rows and how to read the table.
 *
 *   npm run bench                         all rows of the main table
 *   npm run bench -- --only fill,latency  some of them; --list names them
 *   npm run bench -- --help               all flags
 *
 * A folder adds rows by exporting a list of `Row` (frame/row.ts), which is added to ROWS here.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { AGENTS_ROWS } from './agents/rows.ts';
import { CLUSTERMESH_ROWS } from './clustermesh/rows.ts';
import { etcdVersion } from './etcd.ts';
import { parseOptions, USAGE, UsageError } from './frame/options.ts';
import type { RowResults } from './frame/results.ts';
import type { Row } from './frame/row.ts';
import { runRow } from './frame/run.ts';
import { resultJson, resultTable } from './frame/table.ts';
import { INSIDE_ROWS } from './inside/rows.ts';
import { KVSTOREMESH_ROWS } from './kvstoremesh/rows.ts';
import { LIGHT_ROWS } from './light/rows.ts';
import { MESH_ROWS } from './mesh/rows.ts';
import { OUTAGES_ROW } from './reconnect/main.ts';

const ROWS: readonly Row[] = [
  ...KVSTOREMESH_ROWS,
  ...CLUSTERMESH_ROWS,
  OUTAGES_ROW,
  ...INSIDE_ROWS,
  ...LIGHT_ROWS,
  ...MESH_ROWS,
  ...AGENTS_ROWS,
];

const END_WITHIN_MS = 3_000;

function selectRows(only: readonly string[] | undefined): readonly Row[] {
  if (only === undefined) return ROWS.filter(({ isExtra }) => isExtra !== true);
  return only.map((name) => {
    const row = ROWS.find((each) => each.name === name);
    if (row === undefined) throw new UsageError(`there is no row ${name}: ${ROWS.map((each) => each.name).join(', ')}`);
    return row;
  });
}

function gitRevision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

async function main(words: readonly string[]): Promise<void> {
  if (words.includes('--help')) return void process.stdout.write(USAGE);
  const options = parseOptions(words);
  const rows = selectRows(options.only);
  if (options.list) {
    for (const { name, measures, isExtra } of ROWS)
      process.stdout.write(`${name.padEnd(14)} ${measures}${isExtra ? ' (only with --only)' : ''}\n`);
    return;
  }
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      stop.abort(new Error(`interrupted by ${signal}`));
      // What does not notice that in time is ended with its processes.
      setTimeout(() => process.exit(1), END_WITHIN_MS).unref();
    });
  const build = { revision: gitRevision(), etcd: etcdVersion() };
  const setup = `${options.fsync ? 'with' : 'without'} fsync, ${options.mtls ? 'mTLS and users' : 'plain text'}`;
  process.stdout.write(`${build.revision}, etcd ${build.etcd}, ${setup}, ${options.keys} keys, ${options.rounds} rounds\n`);
  const results: RowResults[] = [];
  for (const row of rows) {
    try {
      results.push(await runRow(row, options, stop.signal, (line) => process.stderr.write(`${line}\n`)));
    } catch (thrown) {
      // What other rows measured is not lost.
      process.exitCode = 1;
      process.stderr.write(`${row.name}: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
      if (stop.signal.aborted) break;
    }
  }
  const names = options.subjects.map(({ name }) => name);
  process.stdout.write(resultTable(results, names));
  for (const { row, notes } of results) for (const note of notes) process.stdout.write(`${row.name}: ${note}\n`);
  if (options.json !== undefined) writeFileSync(options.json, resultJson(results, options, build));
}

try {
  await main(process.argv.slice(2));
} catch (thrown) {
  process.stderr.write(`bench: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 2;
}
process.exit();
