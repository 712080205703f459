/**
 * A daemon as an operator runs it: the launcher, the original's flags, a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from './etcd-process.ts';
import { until } from './until.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/clustermesh-apiserver', import.meta.url));

export interface Daemon extends AsyncDisposable {
  readonly healthPort: number;
  /** What it has logged so far. */
  readonly log: string;
  /** Resolves when `/readyz` says so. */
  ready(): Promise<void>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export async function startDaemon(command: 'clustermesh' | 'kvstoremesh', flags: readonly string[]): Promise<Daemon> {
  const healthPort = await freePort();
  const child: ChildProcess = spawn(LAUNCHER, [command, `--health-port=${healthPort}`, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CLUSTERMESH_NODE: process.execPath },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  return {
    healthPort,
    get log() {
      return log;
    },
    ready: async () => {
      await until(
        `${command} is ready`,
        async () => {
          if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
          return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
        },
        { withinMs: 90_000, status: () => log.slice(-2000) },
      );
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
