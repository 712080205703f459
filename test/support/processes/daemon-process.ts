/**
 * The program under test as a process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { within } from '../until.ts';

export interface DaemonEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** How long a daemon may take to end after a signal: its own limit, and some room. */
const STOP_WITHIN_MS = 10_000;
const LAUNCHER = join(import.meta.dirname, '../../../bin/clustermesh-apiserver');

/** The words of a command: those that the environment has in `variable`, separated by spaces, else the launcher's. */
export function programCommand(variable: string, ...words: readonly string[]): readonly string[] {
  const given = process.env[variable];
  if (given === undefined || given === '') return [LAUNCHER, ...words];
  return given.split(' ').filter((word) => word !== '');
}

export class DaemonProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<DaemonEnd>;
  #end: DaemonEnd | undefined;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const keep = (chunk: Buffer) => {
      this.#output = (this.#output + chunk.toString()).slice(-50_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
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

  static start([command = '', ...words]: readonly string[]): DaemonProcess {
    const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    return new DaemonProcess(child);
  }

  /** Undefined while it runs. */
  get end(): DaemonEnd | undefined {
    return this.#end;
  }

  /** The last lines it wrote. */
  get lastWords(): string {
    return this.#output.trim().split('\n').slice(-15).join('\n');
  }

  /** Resolves when it has ended by itself. */
  whenEnded(): Promise<DaemonEnd> {
    return within('the daemon ends', this.#ended);
  }

  /** Sends `signal` and resolves when it has ended. One that does not end in time is killed, and that is an error. */
  async stop(signal: NodeJS.Signals): Promise<DaemonEnd> {
    this.#child.kill(signal);
    try {
      return await within(`the daemon ends after ${signal}`, this.#ended, STOP_WITHIN_MS);
    } finally {
      this.#child.kill('SIGKILL');
    }
  }
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
