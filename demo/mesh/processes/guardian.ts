/**
 * Ensures that no process and no file outlives the demo, however it ends.
 *
 * A small shell in a session of its own reads the process IDs to guard from a pipe. When the pipe closes,
 * because the demo has finished or was killed, it kills the remaining processes and removes the directory.
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
 * The first action of a guarded process: it sends its own ID to the guardian, and then becomes the program.
 * If the demo sent the ID, a demo killed in between would leave the process behind.
 * Until then the process keeps the pipe open, so that the guardian waits for it.
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
    // It is gone only if it was killed; the demo then stops its children as far as it can.
    this.#shell.stdin.on('error', () => undefined);
  }

  /**
   * Starts a process that does not outlive the demo, in a session of its own: Ctrl-C reaches only the demo,
   * which then stops everything in order. A missing command ends with status 127, and its log has the error.
   */
  spawn({ command, args, env, log }: GuardedCommand): ChildProcess {
    const child = spawn('/bin/sh', ['-c', ANNOUNCED, 'sh', command, ...args], {
      stdio: ['ignore', log, log, this.#shell.stdin],
      env,
      detached: true,
    });
    // Its number may be reused soon.
    child.once('exit', () => this.#shell.stdin.write(`- ${child.pid}\n`));
    return child;
  }

  /** Resolves when everything is gone. Idempotent. */
  async end(): Promise<void> {
    this.#shell.stdin.end();
    if (this.#shell.exitCode === null && this.#shell.signalCode === null) await once(this.#shell, 'exit');
  }
}
