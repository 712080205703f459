/** Other load on the remote etcd while a mirror is measured: etcd's own `benchmark`, with the arguments of `--beside`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Etcd } from '../etcd.ts';
import { benchmarkTool, connectionArguments } from '../etcd-benchmark.ts';
import type { RowContext } from '../frame/row.ts';

/** Runs `work`; the load begins before it and is ended after it. Throws if the load ends early with an error. */
export async function withBesideLoad<T>(context: RowContext, etcd: Etcd, work: () => Promise<T>): Promise<T> {
  const { beside } = context.options;
  if (beside === undefined) return work();
  const child = spawn(benchmarkTool(), [...connectionArguments(etcd), ...beside], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint = (complaint + String(chunk)).slice(-1_000);
  });
  const ended = once(child, 'exit');
  try {
    const result = await work();
    if (child.exitCode !== null && child.exitCode !== 0) throw new Error(`etcd's benchmark ${beside.join(' ')}: ${complaint}`);
    if (child.exitCode === 0) context.note('the load of --beside ended before the measurement: give it a larger --total');
    return result;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}
