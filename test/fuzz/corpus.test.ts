/** Every input that fuzzing begins with, and every one that failed once. */
import { describe, expect, test } from 'vitest';
import { minimized } from '../support/mutation.ts';
import { inputsOf } from './corpus.ts';
import { TARGETS } from './targets.ts';
import { watched } from './watched.ts';

describe.each(TARGETS)('$name', ({ name, load }) => {
  const inputs = [...inputsOf('corpus', name), ...inputsOf('regressions', name)];

  test('has a corpus', () => {
    expect(inputsOf('corpus', name).length).toBeGreaterThan(0);
  });

  test('takes each input of it, or refuses it', async () => {
    const run = await load();
    for (const [file, input] of inputs) {
      try {
        await run(input);
      } catch (thrown) {
        throw new Error(`${name}/${file} fails`, { cause: thrown });
      }
    }
  });
});

test('the watch delivers events of an input, so that what follows their arrival is fuzzed too', async () => {
  const delivered = await Promise.all(inputsOf('corpus', 'watch').map(([, input]) => watched(input)));
  expect(delivered.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
});

test('an input that fails is made as small as it can be', async () => {
  const fails = async (candidate: Buffer) => candidate.includes('b') && candidate.includes('d');
  expect((await minimized(Buffer.from('aaabcccdeee'), fails)).toString()).toBe('bd');
});
