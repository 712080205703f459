/** Fuzzes one target in a thread of its own, which may hang or run out of memory. */
import { parentPort, workerData } from 'node:worker_threads';
import { inputsOf } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { minimized, mutated, randomOf } from './mutation.ts';
import { TARGETS, type Target } from './targets.ts';

export interface Job {
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** Where the input under way is left: its number, its length, its bytes. */
  readonly current: SharedArrayBuffer;
}

export interface Result {
  readonly runs: number;
  readonly blocks: number;
  /** Inputs that reached something new, those of the repository not counted. */
  readonly kept: readonly Uint8Array[];
  readonly failure?: { readonly input: Uint8Array; readonly message: string };
}

/** Inputs between two looks at the coverage, which cost as much as many of them. */
const BATCH = 64;

const job = workerData as Job;
const target = TARGETS.find(({ name }) => name === job.target) as Target;
const run = await target.load();
const head = new Int32Array(job.current, 0, 2);
const bytes = new Uint8Array(job.current, 8);

async function errorOf(input: Buffer): Promise<Error | undefined> {
  bytes.set(input);
  Atomics.store(head, 1, input.length);
  Atomics.add(head, 0, 1);
  try {
    await run(input);
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
  return undefined;
}

async function fuzz(): Promise<Result> {
  const random = randomOf(job.seed);
  const coverage = new Coverage();
  const corpus = [Buffer.alloc(0), ...inputsOf('corpus', target.name).map(([, input]) => input)];
  const kept: Buffer[] = [];
  let runs = 0;
  const failed = async (input: Buffer, error: Error): Promise<Result> => {
    const smallest = await minimized(input, async (candidate) => (await errorOf(candidate))?.name === error.name);
    const message = (await errorOf(smallest))?.stack ?? error.message;
    return { runs, blocks: coverage.size, kept, failure: { input: smallest, message } };
  };
  for (const input of corpus) {
    const error = await errorOf(input);
    if (error !== undefined) return failed(input, error);
  }
  coverage.add(coverage.takeNew());
  const endMs = performance.now() + job.seconds * 1000;
  while (performance.now() < endMs) {
    const batch = Array.from({ length: BATCH }, () =>
      mutated(corpus[random(corpus.length)] as Buffer, corpus, target.words, random),
    );
    for (const input of batch) {
      runs += 1;
      const error = await errorOf(input);
      if (error !== undefined) return failed(input, error);
    }
    if (coverage.takeNew().length === 0) continue;
    for (const input of batch) {
      await errorOf(input);
      const found = coverage.takeNew();
      if (found.length === 0) continue;
      coverage.add(found);
      corpus.push(input);
      kept.push(input);
    }
  }
  return { runs, blocks: coverage.size, kept };
}

parentPort?.postMessage(await fuzz());
