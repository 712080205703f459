/**
 * A daemon as an operator runs it: the launcher, the original's flags, a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePort } from '../network/free-port.ts';
import { until } from '../until.ts';

const LAUNCHER = fileURLToPath(new URL('../../../bin/clustermesh-apiserver', import.meta.url));

export interface Daemon extends AsyncDisposable {
  readonly healthPort: number;
  readonly pid: number;
  /** What it has logged so far. */
  readonly log: string;
  /** Resolves when `/readyz` says so; 90 seconds are enough unless it has very much to do. */
  ready(withinMs?: number): Promise<void>;
  /** False from when the process is gone. */
  readonly isRunning: boolean;
  send(signal: NodeJS.Signals): void;
  /** Resolves with the exit status when the process is gone; null where a signal ended it. */
  ended(): Promise<number | null>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** `program`: what is run in place of the launcher, and its first arguments. */
export async function startDaemon(
  command: 'clustermesh' | 'kvstoremesh',
  flags: readonly string[],
  [program, ...first]: readonly [string, ...string[]] = [LAUNCHER],
): Promise<Daemon> {
  const healthPort = await freePort();
  const child: ChildProcess = spawn(program, [...first, command, `--health-port=${healthPort}`, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CLUSTERMESH_NODE: process.execPath },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const ended = async () => {
    if (isRunning()) await once(child, 'exit');
    return child.exitCode;
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended();
  };
  return {
    healthPort,
    pid: child.pid ?? 0,
    get log() {
      return log;
    },
    ready: async (withinMs = 90_000) => {
      await until(
        `${command} is ready`,
        async () => {
          if (child.exitCode !== null) throw new Error(`it ended with status ${child.exitCode}`);
          return (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok;
        },
        { withinMs, status: () => log.slice(-2000) },
      );
    },
    get isRunning() {
      return isRunning();
    },
    send: (signal) => void child.kill(signal),
    ended,
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
