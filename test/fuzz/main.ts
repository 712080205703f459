/**
 * Coverage-guided fuzzing of whatever reads text or bytes of others: `npm run fuzz`, or with names of targets.
 *
 * FUZZ_SECONDS for all targets together, FUZZ_SEED repeats a run as far as time allows, FUZZ_KEEP=1 adds inputs that
 * reached something new to the corpus. An input that fails is made small and kept among the regressions, which a test
 * runs from then on. Ends with status 1 where one failed.
 */
import { Worker } from 'node:worker_threads';
import { keepInput } from './corpus.ts';
import { TARGETS } from './targets.ts';
import type { Job, Result } from './worker.ts';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 300);
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** An input that takes longer than this hangs: the others take milliseconds. */
const HANG_MS = 20_000;
const MAX_HEAP_MB = 512;
const MAX_INPUT_BYTES = 64 * 1024;

async function fuzz(target: string, seconds: number): Promise<Result> {
  const current = new SharedArrayBuffer(8 + MAX_INPUT_BYTES);
  const head = new Int32Array(current, 0, 2);
  const job: Job = { target, seconds, seed: SEED, current };
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  const inputAtFault = (message: string): Result => {
    const input = new Uint8Array(current, 8, Atomics.load(head, 1)).slice();
    return { runs: Atomics.load(head, 0), blocks: 0, kept: [], failure: { input, message } };
  };
  let last = -1;
  const { promise, resolve } = Promise.withResolvers<Result>();
  const watchdog = setInterval(() => {
    const now = Atomics.load(head, 0);
    if (now === last) resolve(inputAtFault(`an input took more than ${HANG_MS} ms`));
    last = now;
  }, HANG_MS);
  worker.once('message', resolve);
  worker.once('error', (error) => resolve(inputAtFault(error.stack ?? error.message)));
  const result = await promise;
  clearInterval(watchdog);
  await worker.terminate();
  return result;
}

const named = process.argv.slice(2);
const chosen = TARGETS.filter(({ name }) => named.length === 0 || named.includes(name));
let failures = 0;
process.stdout.write(`FUZZ_SEED=${SEED}\n`);
for (const { name } of chosen) {
  const { runs, blocks, kept, failure } = await fuzz(name, SECONDS / chosen.length);
  process.stdout.write(`${name}: ${runs} inputs, ${blocks} blocks, ${kept.length} inputs reached something new\n`);
  if (process.env.FUZZ_KEEP === '1') for (const input of kept) keepInput('corpus', name, input);
  if (failure === undefined) continue;
  failures += 1;
  process.stdout.write(`${name} FAILED: ${keepInput('regressions', name, failure.input)}\n${failure.message}\n`);
}
process.exitCode = failures === 0 ? 0 : 1;
