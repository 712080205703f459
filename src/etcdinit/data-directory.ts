/** Empties the data directory of etcd: the content that an earlier run left is useless. */
import { readdir, realpath, rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { asError } from '../shared/errors.ts';
import { DataDirectoryError } from './errors.ts';
import { removeMarker } from './marker.ts';

/**
 * Removes everything in `path`, and not `path` itself: normally it is the mount of a volume. Resolves with the
 * number of entries that were removed; idempotent. DataDirectoryError where `path` is no directory that can be emptied.
 */
export async function emptyDataDirectory(path: string): Promise<number> {
  if (path === '') throw new DataDirectoryError(path, 'is not a path; set the data directory of etcd');
  if (await isRoot(path)) throw new DataDirectoryError(path, 'is the root of the file system; set another directory');
  try {
    const names = await readdir(path);
    await removeMarker(path);
    for (const name of names) await rm(join(path, name), { recursive: true, force: true });
    return names.length;
  } catch (thrown) {
    throw new DataDirectoryError(path, problemOf(asError(thrown)));
  }
}

async function isRoot(path: string): Promise<boolean> {
  const real = await realpath(path).catch(() => path);
  return parse(real).root === real;
}

function problemOf(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return 'does not exist; create it, or mount a volume there';
  if (error.code === 'ENOTDIR') return 'is not a directory; set a directory';
  return `cannot be emptied (${error.message}); make it readable and writable for this user`;
}
