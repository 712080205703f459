/** etcd's own `benchmark` (go.etcd.io/etcd/v3/tools/benchmark): what an etcd can do with a client that is not ours. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Etcd } from './etcd.ts';

const BUILT = join(import.meta.dirname, '../.cache/tools/etcd-benchmark');

/** Its path. Throws if it is not built. */
export function benchmarkTool(): string {
  if (!existsSync(BUILT)) throw new Error(`${BUILT} is missing; build it: sh scripts/build-test-tools.sh`);
  return BUILT;
}

/** Arguments that connect it to `etcd` as root. */
export function connectionArguments(etcd: Etcd): string[] {
  const { endpoints, caFile, certFile, keyFile } = etcd.config('root');
  const tls = caFile === undefined ? [] : [`--cacert=${caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
  return [`--endpoints=${endpoints.join()}`, ...tls];
}

export interface BenchmarkSummary {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One run; a summary for each section of its output: `watch-latency` has one of the puts and one of the events. */
export async function runBenchmark(etcd: Etcd, words: readonly string[]): Promise<readonly BenchmarkSummary[]> {
  const { stdout } = await promisify(execFile)(benchmarkTool(), [...connectionArguments(etcd), ...words], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const failed = /Error distribution:\s*\n(.*)/.exec(stdout);
  if (failed !== null) throw new Error(`etcd's benchmark ${words.join(' ')}: ${failed[1]}`);
  return stdout
    .split(/^Summary:/m)
    .slice(1)
    .map((section) => {
      const secondsOf = (percentile: number) => Number(new RegExp(` ${percentile}% in ([\\d.]+) secs`).exec(section)?.[1] ?? 0);
      return {
        requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(section)?.[1]),
        p50Ms: secondsOf(50) * 1000,
        p99Ms: secondsOf(99) * 1000,
      };
    });
}
