/** Node without a program: what no program of Node can be below. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface BareNode extends Disposable {
  readonly pid: number;
}

/** One that waits. */
export function bareNode(): BareNode {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)'], { stdio: 'ignore' });
  return { pid: child.pid ?? 0, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

/** Milliseconds from the start of a program to its end, and its status. */
export async function timed(binary: string, words: readonly string[]): Promise<{ ms: number; status: number | null }> {
  const startMs = performance.now();
  const child = spawn(binary, words, { stdio: 'ignore' });
  const [status] = (await once(child, 'exit')) as [number | null];
  return { ms: performance.now() - startMs, status };
}

export async function bareNodeMs(): Promise<number> {
  return (await timed(process.execPath, ['-e', '0'])).ms;
}
