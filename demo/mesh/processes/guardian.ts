/**
 * Sees to it that nothing outlives the demo, however it ends: not a process, not a file.
 *
 * A small shell in a session of its own reads the process IDs to guard from a pipe. When the pipe closes,
 * because the demo is done or was killed, it kills those that are left and removes the directory.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';

/** Removing is tried again: a process may be about to write its last file when it is killed. */
const SCRIPT = `
trap '' HUP INT TERM
pids=' '
while read -r sign pid; do
  case $sign in
    +) pids="$pids$pid " ;;
    -) pids="\${pids%% $pid *} \${pids#* $pid }" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
rm -rf "$1" 2>/dev/null || { sleep 1; rm -rf "$1"; }
`;

/**
 * What a guarded process does first: it gives its own ID to the guardian, and then becomes the program.
 * Said by the demo instead, a demo killed between starting a process and saying so would leave it behind.
 * While it has not said so it holds the pipe open, so that the guardian waits for it.
 */
const ANNOUNCED = 'echo "+ $$" >&3; exec "$@" 3>&-';

export interface GuardedCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment of the process. */
  readonly env: Readonly<Record<string, string>>;
  /** Open file that takes its output. */
  readonly log: number;
}

export class Guardian {
  readonly #shell: ChildProcessByStdio<Writable, null, null>;

  /** `directory` is removed at the end. */
  constructor(directory: string) {
    this.#shell = spawn('sh', ['-c', SCRIPT, 'guardian', directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // It is gone only where somebody killed it; the demo then ends its children as far as it can by itself.
    this.#shell.stdin.on('error', () => undefined);
  }

  /**
   * Starts a process that does not outlive the demo, in a session of its own: Ctrl-C is for the demo alone,
   * which then ends everything in order. A command that is not there ends with status 127, its log says so.
   */
  spawn({ command, args, env, log }: GuardedCommand): ChildProcess {
    const child = spawn('/bin/sh', ['-c', ANNOUNCED, 'sh', command, ...args], {
      stdio: ['ignore', log, log, this.#shell.stdin],
      env,
      detached: true,
    });
    // Its number may soon belong to somebody else.
    child.once('exit', () => this.#shell.stdin.write(`- ${child.pid}\n`));
    return child;
  }

  /** Resolves when everything is gone. Idempotent. */
  async end(): Promise<void> {
    this.#shell.stdin.end();
    if (this.#shell.exitCode === null && this.#shell.signalCode === null) await once(this.#shell, 'exit');
  }
}
