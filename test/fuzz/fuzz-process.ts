/** Fuzzes a target in a process of its own: an input may have it hang, run out of memory, or end in any other way. */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputUnderWay } from './input-under-way.ts';
import type { Job, Result } from './worker.ts';

export interface FuzzBounds {
  /** An input that takes longer than this hangs, or up to twice as long: the others take milliseconds. */
  readonly hangMs: number;
  readonly maxHeapMb: number;
}

/** What is fuzzed has so many times longer to be loaded, before the first input. */
const LOADING = 10;

/** Of what the process said last. */
const MAX_STDERR_CHARACTERS = 4096;

/** Resolves with what came of it, in any case: where the process ends early, the input under way is what failed. */
export async function fuzzed(job: Omit<Job, 'current'>, { hangMs, maxHeapMb }: FuzzBounds): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), 'fuzz-'));
  const current = join(directory, 'input');
  const underWay = InputUnderWay.create(current);
  const child = fork(new URL('./worker.ts', import.meta.url), [JSON.stringify({ ...job, current })], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    execArgv: [`--max-old-space-size=${maxHeapMb}`],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-MAX_STDERR_CHARACTERS);
  });
  let result: Result | undefined;
  child.once('message', (message) => {
    result = message as Result;
  });
  let isHanging = false;
  let last = -1;
  let looks = 0;
  const watchdog = setInterval(() => {
    const { number } = underWay.read();
    looks = number === last ? looks + 1 : 0;
    last = number;
    isHanging = result === undefined && looks >= (number > 0 ? 1 : LOADING);
    if (isHanging) child.kill('SIGKILL');
  }, hangMs);
  try {
    const ending = await new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      // All that it has sent and said has arrived by then.
      child.once('close', (status, signal) => resolve(`the process ended with ${signal ?? `status ${status}`}`));
    });
    const { number, input } = underWay.read();
    const message = isHanging ? `an input took more than ${hangMs} ms` : `${ending}\n${said}`;
    return result ?? { runs: number, blocks: 0, kept: [], failure: { input, message } };
  } finally {
    clearInterval(watchdog);
    underWay.close();
    rmSync(directory, { recursive: true });
  }
}
