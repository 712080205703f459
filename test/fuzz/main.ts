/**
 * Coverage-guided fuzzing of all parsers of untrusted input: `npm run fuzz`, or with names of targets.
 *
 * FUZZ_SECONDS for all targets together, FUZZ_SEED repeats a run as far as time allows, FUZZ_KEEP=1 adds inputs that
 * reached something new to the corpus. An input that fails is made small and kept among the regressions, which a test
 * runs from then on. Ends with status 1 where one failed.
 */
import { keepInput } from './corpus.ts';
import { fuzzed } from './fuzz-process.ts';
import { TARGETS } from './targets.ts';

const SECONDS = Number(process.env.FUZZ_SECONDS ?? 300);
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));

const BOUNDS = { hangMs: 20_000, maxHeapMb: 512 };

const named = process.argv.slice(2);
const chosen = TARGETS.filter(({ name }) => named.length === 0 || named.includes(name));
let failures = 0;
process.stdout.write(`FUZZ_SEED=${SEED}\n`);
for (const { name } of chosen) {
  const job = {
    targets: new URL('./targets.ts', import.meta.url).href,
    target: name,
    seconds: SECONDS / chosen.length,
    seed: SEED,
  };
  const { runs, blocks, kept, failure } = await fuzzed(job, BOUNDS);
  process.stdout.write(`${name}: ${runs} inputs, ${blocks} blocks, ${kept.length} inputs reached something new\n`);
  if (process.env.FUZZ_KEEP === '1') for (const input of kept) keepInput('corpus', name, input);
  if (failure === undefined) continue;
  failures += 1;
  process.stdout.write(`${name} FAILED: ${keepInput('regressions', name, failure.input)}\n${failure.message}\n`);
}
process.exitCode = failures === 0 ? 0 : 1;
