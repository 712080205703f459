/** A child process of a test: what it wrote, and how it ended. */
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface Outcome {
  /** The exit status; undefined where a signal ended it. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Child extends AsyncDisposable {
  readonly outcome: Promise<Outcome>;
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  /** What it wrote to standard error so far. */
  readonly stderrSoFar: string;
  /** The same of standard output. */
  readonly stdoutSoFar: string;
}

export interface ChildOptions {
  readonly cwd?: string;
  /** Replaces the environment, apart from PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `command`; the child is killed when the test disposes of it. */
export function startChild(command: string, args: readonly string[], options: ChildOptions = {}): Child {
  const { PATH, HOME } = process.env;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { PATH, HOME, ...options.env },
  });
  let stderrSoFar = '';
  let stdoutSoFar = '';
  child.stdout.on('data', (chunk) => {
    stdoutSoFar += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderrSoFar += String(chunk);
  });
  const ended = new Promise<number | undefined>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve(status ?? undefined));
  });
  const outcome = Promise.all([ended, text(child.stdout)]).then(([status, stdout]) => ({
    status,
    stdout,
    stderr: stderrSoFar,
  }));
  return {
    outcome,
    pid: child.pid ?? 0,
    kill: (signal) => child.kill(signal),
    get stderrSoFar() {
      return stderrSoFar;
    },
    get stdoutSoFar() {
      return stdoutSoFar;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}

/** Runs `command` to its end. */
export async function runChild(command: string, args: readonly string[], options?: ChildOptions): Promise<Outcome> {
  await using child = startChild(command, args, options);
  return await child.outcome;
}
