/** Node without languages other than English. */
import { copyFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runChild } from '../support/processes/child.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const TRIM = join(import.meta.dirname, '../../scripts/container/trim-node.ts');
const directory = temporaryDirectory('trim');
const trimmed = join(directory, 'node');

/** What a program does with languages, and what is the same in each. */
const FACTS = `
  const date = (locale) => new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeZone: 'Europe/Berlin' }).format(0);
  const sorted = (locale) => ['b', '\\u{e4}', 'a'].sort(new Intl.Collator(locale).compare).join('');
  const decoded = (encoding, ...bytes) => new TextDecoder(encoding).decode(Uint8Array.from(bytes));
  console.log(JSON.stringify([date('en'), date('de'), sorted('en'), sorted('sv'), '\\u{fb01}'.normalize('NFKC'),
    decoded('gb18030', 0xc4, 0xe3), decoded('latin1', 0xe9), /\\p{Script=Han}/u.test('\\u{6f22}'), (1234.5).toLocaleString('fr'),
    [...new Intl.Segmenter('ja', { granularity: 'word' }).segment('\\u{65e5}\\u{672c}')].length > 0]));
`;

test('it speaks English whatever it is asked for, and all that is not of a language stays', async () => {
  expect(await runChild(process.execPath, [TRIM, process.execPath, trimmed])).toMatchObject({ status: 0 });
  const english = 'Thursday, January 1, 1970';
  for (const env of [{}, { LC_ALL: 'de_DE.UTF-8' }]) {
    const { status, stdout, stderr } = await runChild(trimmed, ['--eval', FACTS], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const [first, , ...rest] = JSON.parse(stdout) as unknown[];
    expect([first, ...rest]).toEqual([english, 'aäb', 'aäb', 'fi', '你', 'é', true, '1,234.5', true]);
  }
  expect(statSync(trimmed).size).toBeLessThan(statSync(process.execPath).size - 20_000_000);
});

test('a program that is none of that kind is refused, and nothing is written', async () => {
  const [other, target] = [join(directory, 'other'), join(directory, 'target')];
  copyFileSync('/bin/true', other);
  const noIcu = await runChild(process.execPath, [TRIM, other, target]);
  expect(noIcu).toMatchObject({ status: 1, stderr: expect.stringContaining('there is no data of ICU in the program') });
  writeFileSync(other, 'no program');
  expect(await runChild(process.execPath, [TRIM, other, target])).toMatchObject({ status: 1 });
  expect(() => statSync(target)).toThrow('ENOENT');
});
