/** Changes at a fixed rate, from a process of its own, and their latency at a watcher in another process. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { EtcdConfig } from '../../src/shared/etcd/config.ts';
import { cpuSeconds } from '../usage.ts';
import type { WatcherEnd, WatcherOrder, WatcherReport, WriterOrder, WriterReport } from './messages.ts';
import { changedKeys } from './stamp.ts';

export interface LoadOptions {
  /** Where the changes are put, and the keys of the cluster there. */
  readonly target: EtcdConfig;
  readonly id: number;
  readonly keys: number;
  /** Where their events are expected, and below which prefix. */
  readonly watched: EtcdConfig;
  readonly prefix: string;
  /** Changes a second, for so many seconds after the warm-up. */
  readonly rate: number;
  readonly seconds: number;
  /** Processes whose processor time is measured, by name. */
  readonly pids: Readonly<Record<string, number>>;
  readonly signal: AbortSignal;
}

export interface LoadResult extends WatcherReport {
  /** Changes a second that were really sent. */
  readonly sentPerSecond: number;
  readonly failed: number;
  /** The latest that the writer was, in milliseconds. */
  readonly writerLateMs: number;
  /** Of one core, by name; with `writer` and `watcher`. */
  readonly cpus: Readonly<Record<string, number>>;
}

const WARM_UP_SECONDS = 2;
/** Requests a second that one connection to an etcd carries well; higher rates put several changes into one transaction. */
const TRANSACTIONS_PER_SECOND = 3000;

let runs = 0;

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { target, id, keys, watched, prefix, rate, seconds, pids, signal } = options;
  runs += 1;
  const run = runs;
  using watcher = forked('watcher.ts', signal);
  using writer = forked('writer.ts', signal);
  const isWatching = watcher.answer();
  watcher.tell({ watched, prefix, run } satisfies WatcherOrder);
  await isWatching;
  const before = await times(pids);
  const perTransaction = Math.ceil(rate / TRANSACTIONS_PER_SECOND);
  const written = writer.answer();
  writer.tell({ target, id, keys, run, rate, seconds: seconds + WARM_UP_SECONDS, perTransaction } satisfies WriterOrder);
  const { changes, failed, firstSentNs, lastSentNs, latestMs, cpu } = (await written) as WriterReport;
  const lasted = (lastSentNs - firstSentNs) / 1e9;
  const after = await times(pids);
  const ended = watcher.answer();
  const counted = rate * WARM_UP_SECONDS;
  watcher.tell({ changes, counted, lastSentNs, repeatedAfter: changedKeys(keys) } satisfies WatcherEnd);
  const report = (await ended) as WatcherReport;
  const used = Object.keys(pids).map((name) => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / lasted]);
  return {
    ...report,
    sentPerSecond: changes / lasted,
    failed,
    writerLateMs: latestMs,
    cpus: { ...Object.fromEntries(used), writer: cpu, watcher: report.cpu },
  };
}

async function times(pids: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  const all = Object.entries(pids).map(async ([name, pid]) => [name, await cpuSeconds(pid)] as const);
  return Object.fromEntries(await Promise.all(all));
}

interface Forked extends Disposable {
  tell(message: object): void;
  /** Its next message. Rejects when it ends without one. */
  answer(): Promise<unknown>;
}

function forked(file: string, signal: AbortSignal): Forked {
  const child: ChildProcess = fork(join(import.meta.dirname, file), {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const answer = async () => {
    const over = new AbortController();
    try {
      const message = once(child, 'message', { signal: AbortSignal.any([signal, over.signal]) }).then(([it]) => it as unknown);
      const exit = once(child, 'exit', { signal: over.signal }).then(([code]) => {
        throw new Error(`${file} ended with status ${code}`);
      });
      return await Promise.race([message, exit]);
    } finally {
      over.abort();
    }
  };
  return { tell: (message) => void child.send(message), answer, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
