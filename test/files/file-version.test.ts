import { mkdirSync, statSync, symlinkSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { fileVersion } from '../../src/shared/files/file-version.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

/** As if it was a while later: no program can make a file older. */
function later(): void {
  const nowMs = Date.now();
  vi.spyOn(Date, 'now').mockReturnValue(nowMs + 120_000);
  onTestFinished(() => void vi.restoreAllMocks());
}

test('a file that has not changed for a while has a version, as a link to it has, until it is changed', async () => {
  const directory = temporaryDirectory('file-version');
  const [file, other, link] = ['file', 'other', 'link'].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(file, 'one');
  writeFileSync(other, 'one');
  symlinkSync(file, link);
  later();
  const version = await fileVersion(file);
  expect(version).toBeDefined();
  expect(await fileVersion(file)).toBe(version);
  expect(await fileVersion(link)).toBe(version);

  unlinkSync(link);
  symlinkSync(other, link);
  expect(await fileVersion(link)).not.toBe(version);

  // The same size, and the time of its content is set back.
  const { ctimeMs, atime, mtime } = statSync(file);
  await until('the file system has another time', () => {
    writeFileSync(file, 'two');
    utimesSync(file, atime, mtime);
    return statSync(file).ctimeMs !== ctimeMs;
  });
  expect(await fileVersion(file)).not.toBe(version);
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
