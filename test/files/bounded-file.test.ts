import { execFileSync } from 'node:child_process';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FileReadError, readBoundedFile } from '../../src/shared/files/bounded-file.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { within } from '../support/until.ts';

const MAX_BYTES = 100_000;
const directory = temporaryDirectory('bounded-file');
const path = (name: string) => join(directory, name);

test.each([0, 1, 65_535, 65_536, 65_537, MAX_BYTES])('a file of %d bytes is read', async (size) => {
  writeFileSync(path('file'), Buffer.alloc(size, 'x'));
  expect(await readBoundedFile(path('file'), MAX_BYTES)).toEqual(Buffer.alloc(size, 'x'));
});

test('a link is followed, as projected volumes have them', async () => {
  writeFileSync(path('target'), 'content');
  symlinkSync('target', path('link'));
  expect((await readBoundedFile(path('link'), MAX_BYTES)).toString()).toBe('content');
});

test('a FIFO, a device and a directory are refused at once, by name', async () => {
  execFileSync('mkfifo', [path('fifo')]);
  for (const [file, reason] of [
    [path('fifo'), 'is not a regular file'],
    ['/dev/zero', 'is not a regular file'],
    [directory, 'is a directory'],
  ] as const) {
    const reading = readBoundedFile(file, MAX_BYTES).catch((thrown: unknown) => thrown);
    const error = await within(`${file} is refused`, reading, 5_000);
    expect(error).toBeInstanceOf(FileReadError);
    expect(String(error)).toContain(`${file}: ${reason}`);
  }
});

test('a file beyond the bound is refused, however large', async () => {
  writeFileSync(path('huge'), '');
  truncateSync(path('huge'), 1e12);
  await expect(readBoundedFile(path('huge'), MAX_BYTES)).rejects.toThrow(`${path('huge')}: larger than ${MAX_BYTES} bytes`);
  writeFileSync(path('larger'), Buffer.alloc(MAX_BYTES + 1));
  await expect(readBoundedFile(path('larger'), MAX_BYTES)).rejects.toThrow(/larger than/);
});

test("the system's error for a file that cannot be opened is reported", async () => {
  const error = await readBoundedFile(path('missing'), MAX_BYTES).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ errno: 'ENOENT' });
  expect(String(error)).toContain(`${path('missing')}: cannot be read: ENOENT`);
});
