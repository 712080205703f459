/** A daemon as an operator runs it: the launcher, the original's flags, a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { freePort } from '../network/free-port.ts';
import { until, within } from '../until.ts';
import type { QuickTimes } from './quick-daemon.ts';

const ROOT = join(import.meta.dirname, '../../..');
export const LAUNCHER = join(ROOT, 'bin/clustermesh-apiserver');

// Daemons are started many times; without it each of them compiles the whole source again.
process.env.NODE_COMPILE_CACHE ??= join(ROOT, '.cache/compiled');

/** How long a daemon may take to end after a signal: its own limit, and some room. */
const STOP_WITHIN_MS = 10_000;

export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Daemon implements AsyncDisposable {
  readonly healthPort: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<DaemonEnd>;
  #end: DaemonEnd | undefined;
  #log = '';

  /** Starts `command`, whose health server is to listen on `healthPort`. */
  constructor([program = '', ...words]: readonly string[], healthPort: number) {
    this.healthPort = healthPort;
    const env = { ...process.env, CLUSTERMESH_NODE: process.execPath };
    const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'], env });
    this.#child = child;
    running.add(child);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        this.#end = { code, signal };
        running.delete(child);
        resolve(this.#end);
      });
    });
    this.#ended.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What it has logged so far. */
  get log(): string {
    return this.#log;
  }

  /** The last lines of the log. */
  get lastLines(): string {
    return this.#log.trim().split('\n').slice(-15).join('\n');
  }

  /** False from when the process is gone. */
  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Undefined while it runs. */
  get end(): DaemonEnd | undefined {
    return this.#end;
  }

  /** Resolves when `/readyz` reports it; 90 seconds are enough unless there is very much to do. */
  async ready(withinMs = 90_000): Promise<void> {
    const isReady = async () => {
      if (!this.isRunning) throw new Error(`it ended with status ${this.#child.exitCode}`);
      return (await fetch(`http://127.0.0.1:${this.healthPort}/readyz`)).ok;
    };
    await until('the daemon is ready', isReady, { withinMs, status: () => this.#log.slice(-2_000) });
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the exit status when the process is gone; null where a signal ended it. */
  async ended(): Promise<number | null> {
    return (await this.#ended).code;
  }

  /** Resolves when it has ended by itself. */
  whenEnded(): Promise<DaemonEnd> {
    return within('the daemon ends', this.#ended);
  }

  /** Sends `signal` and resolves when it has ended. One that does not end in time is killed, and that is an error. */
  async stop(signal: NodeJS.Signals): Promise<DaemonEnd> {
    this.send(signal);
    try {
      return await within(`the daemon ends after ${signal}`, this.#ended, STOP_WITHIN_MS);
    } finally {
      this.send('SIGKILL');
    }
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.send('SIGKILL');
    await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

/** `program`: what is run in place of the launcher, and its first arguments. */
export async function startDaemon(
  command: 'clustermesh' | 'kvstoremesh',
  flags: readonly string[],
  program: readonly string[] = [LAUNCHER],
): Promise<Daemon> {
  const healthPort = await freePort();
  return new Daemon([...program, command, `--health-port=${healthPort}`, ...flags], healthPort);
}

/** A program for `startDaemon`: the daemons with shorter times, and `preload`, modules that are loaded before. */
export function quickProgram(times: QuickTimes, preload: readonly string[] = []): readonly string[] {
  const imports = preload.map((path) => `--import=${path}`);
  return [process.execPath, ...imports, join(import.meta.dirname, 'quick-daemon.ts'), JSON.stringify(times)];
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
