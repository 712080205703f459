/** A daemon that is measured: a process of its own, with ports for its servers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from './etcd.ts';
import type { Subject } from './frame/subjects.ts';

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** When it was started, by `performance.now`. */
  readonly startedMs: number;
  readonly metricsEndpoint: string;
  /** Aborted when it ends. */
  readonly signal: AbortSignal;
  /** Resolves with the time, by `performance.now`, when `/readyz` answers. */
  ready(): Promise<number>;
  /** Sends `signal` and resolves when the process has ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface DaemonOptions {
  readonly subject: Subject;
  readonly command: 'kvstoremesh' | 'clustermesh';
  readonly flags: readonly string[];
}

const READY_POLL_MS = 2;

export async function startDaemon({ subject, command, flags }: DaemonOptions): Promise<Daemon> {
  const [health, metrics, gops] = [await freePort(), await freePort(), await freePort()];
  const servers = [`--health-port=${health}`, `--prometheus-serve-addr=127.0.0.1:${metrics}`, `--gops-port=${gops}`];
  const startedMs = performance.now();
  const child = spawn(subject.binary, [command, ...servers, ...flags, ...subject.flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  running.add(child);
  let lastLines = '';
  child.stderr.on('data', (chunk) => {
    lastLines = (lastLines + String(chunk)).slice(-2_000);
  });
  const over = new AbortController();
  const ended = once(child, 'exit').then(([code]) => {
    running.delete(child);
    over.abort(new Error(`${subject.name} ${command} ended with status ${code}: ${lastLines}`));
  });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await ended;
  };
  const isReady = () =>
    fetch(`http://127.0.0.1:${health}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    );
  const ready = async () => {
    while (!(await isReady())) {
      over.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
    }
    return performance.now();
  };
  return {
    ...{ pid: child.pid ?? 0, startedMs, metricsEndpoint: `http://127.0.0.1:${metrics}`, signal: over.signal, ready, end },
    [Symbol.asyncDispose]: () => end('SIGKILL'),
  };
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
