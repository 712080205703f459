/** The process that fuzzes one target: see fuzz-process.ts. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { minimized, mutated, randomOf } from '../support/mutation.ts';
import { inputsOf } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { InputUnderWay } from './input-under-way.ts';
import type { Target } from './targets.ts';

/** Its argument, as JSON. */
export interface Job {
  /** URL of the module that exports TARGETS. */
  readonly targets: string;
  readonly target: string;
  readonly seconds: number;
  readonly seed: number;
  /** The file that the input under way is left in. */
  readonly current: string;
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

const job = JSON.parse(process.argv[2] ?? '') as Job;
const { TARGETS } = (await import(job.targets)) as { readonly TARGETS: readonly Target[] };
const target = TARGETS.find(({ name }) => name === job.target) as Target;
const run = await target.load();
const underWay = InputUnderWay.open(job.current);

async function errorOf(input: Buffer): Promise<Error | undefined> {
  underWay.begin(input);
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
    // Signals, and the end of the process that waits for this one, are noticed then.
    await nextTurn();
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

process.once('disconnect', () => process.exit());
process.send?.(await fuzz(), () => process.exit());
