/**
 * Sees to it that nothing outlives the demo, however it ends: not a process, not a file.
 *
 * A small shell in a session of its own reads the process IDs to guard from a pipe. When the pipe closes,
 * because the demo is done or was killed, it kills those that are left and removes the directory.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
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

export class Guardian {
  readonly #shell: ChildProcessByStdio<Writable, null, null>;

  /** `directory` is removed at the end. */
  constructor(directory: string) {
    this.#shell = spawn('sh', ['-c', SCRIPT, 'guardian', directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    // It is gone only where somebody killed it; the demo then ends its children as far as it can by itself.
    this.#shell.stdin.on('error', () => undefined);
  }

  /** `pid` shall not outlive the demo. */
  guard(pid: number): void {
    this.#shell.stdin.write(`+ ${pid}\n`);
  }

  /** `pid` has ended; the number may soon belong to somebody else. */
  release(pid: number): void {
    this.#shell.stdin.write(`- ${pid}\n`);
  }

  /** Resolves when everything is gone. Idempotent. */
  async end(): Promise<void> {
    this.#shell.stdin.end();
    if (this.#shell.exitCode === null && this.#shell.signalCode === null) await once(this.#shell, 'exit');
  }
}
