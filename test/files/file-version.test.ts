import { mkdirSync, statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileVersion } from '../../src/shared/files/file-version.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('a file that has not changed for a while has a version, as a link to it has', async () => {
  const old = process.execPath;
  const link = join(temporaryDirectory('file-version'), 'link');
  symlinkSync(old, link);
  const version = await fileVersion(old);
  expect(version).toContain(String(statSync(old).size));
  expect(await fileVersion(old)).toBe(version);
  expect(await fileVersion(link)).toBe(version);
  // What the link leads to now is another file.
  unlinkSync(link);
  symlinkSync(join(import.meta.dirname, '../../package.json'), link);
  expect(await fileVersion(link)).not.toBe(version);
});

test('a file that has just been written has none, whatever time a program gives it', async () => {
  const file = join(temporaryDirectory('file-version'), 'file');
  writeFileSync(file, 'x');
  expect(await fileVersion(file)).toBeUndefined();
  utimesSync(file, 1, 1);
  expect(statSync(file).mtimeMs).toBe(1000);
  expect(await fileVersion(file)).toBeUndefined();
});

test('what is no file has none', async () => {
  const directory = temporaryDirectory('file-version');
  mkdirSync(join(directory, 'in'));
  for (const name of ['in', 'missing']) expect(await fileVersion(join(directory, name))).toBeUndefined();
});
