/** A run of the demo as its user starts it, and what it leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.ts';

const MAIN = fileURLToPath(new URL('../../demo/main.ts', import.meta.url));

/** Two clusters start, and a link is cut for half a minute, on a machine that does other things besides. */
const STORY_WITHIN_MS = 200_000;
export const TEST_TIMEOUT_MS = 240_000;

export class DemoRun implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | NodeJS.Signals>;
  #output = '';
  #errors = '';

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#child.stdout?.on('data', (chunk) => {
      this.#output += String(chunk);
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.#errors += String(chunk);
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on('close', (status, signal) => resolve(signal ?? status ?? -1));
    });
  }

  get output(): string {
    return this.#output;
  }

  get errors(): string {
    return this.#errors;
  }

  /** Resolves with the exit status, or the signal. */
  get ended(): Promise<number | NodeJS.Signals> {
    return this.#ended;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async prints(text: string | RegExp): Promise<void> {
    const isThere = () => (typeof text === 'string' ? this.#output.includes(text) : text.test(this.#output));
    const status = () => (this.#output + this.#errors).slice(-3_000);
    await until(`the demo prints ${text}`, () => isThere() || this.#child.exitCode !== null, {
      withinMs: STORY_WITHIN_MS,
      status,
    });
    if (!isThere()) throw new Error(`the demo ended with ${this.#child.exitCode}, without ${text}: ${status()}`);
  }

  /** Where it keeps everything; known once the clusters were introduced. */
  get directory(): string {
    return /\S*\/mesh-demo-\w+/.exec(this.#output)?.[0] ?? 'no directory was named';
  }

  /** Command lines of the processes it has started and that are running. */
  get processes(): readonly { readonly pid: number; readonly command: string }[] {
    const { directory } = this;
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => ({ pid: Number(name), command: commandOf(name) }))
      .filter(({ command }) => command.includes(directory));
  }

  async leavesNothing(): Promise<void> {
    await until('every process and file of the demo is gone', () => this.processes.length === 0 && !existsSync(this.directory), {
      status: () => this.processes,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill('SIGKILL');
    await this.#ended;
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
