/**
 * A process of the mesh: an etcd or a daemon. It writes its log to a file, can be killed and started
 * again, and never outlives the demo.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { ProcessEndedError } from '../errors.ts';
import type { Guardian } from './guardian.ts';

/** Whose processes they are. */
export interface ProcessHost {
  readonly guardian: Guardian;
  /** `process` has exited, or could not be started, without a call of `kill`. */
  onUnexpectedEnd(process: MeshProcess, error: ProcessEndedError): void;
}

export interface ProcessOptions {
  /** For people: `the kvstoremesh of west`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment: variables of the user's shell must not configure the mesh. */
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly host: ProcessHost;
}

export class MeshProcess {
  readonly name: string;
  readonly logFile: string;
  readonly #options: ProcessOptions;
  #running: { readonly child: ChildProcess; readonly ended: Promise<void> } | undefined;

  constructor(options: ProcessOptions) {
    this.name = options.name;
    this.logFile = options.logFile;
    this.#options = options;
  }

  /** Starts it for the first time, or again. Whether it serves is for the caller to find out. */
  start(): void {
    const { command, args, env, logFile, host } = this.#options;
    const log = openSync(logFile, 'a');
    const child = host.guardian.spawn({ command, args, env, log });
    closeSync(log);
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running = { child, ended };
    const onEnd = (how: string) => {
      resolve();
      if (this.#running?.child !== child) return;
      this.#running = undefined;
      host.onUnexpectedEnd(this, new ProcessEndedError(`${this.name} ${how}`));
    };
    child.once('error', (error) => onEnd(`cannot be started: ${error.message}`));
    child.once('exit', (status, signal) => onEnd(`has ended with ${signal ?? `status ${status}: ${this.logTail(1).join()}`}`));
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** SIGKILL: the process cannot react. Resolves when it is gone; idempotent. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.child.kill('SIGKILL');
    await running?.ended;
  }

  /** The last lines of its log. */
  logTail(lines: number): readonly string[] {
    try {
      return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines);
    } catch {
      return [];
    }
  }
}
