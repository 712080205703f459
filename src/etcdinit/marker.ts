/**
 * The record of a data directory that is in use: for which cluster it was initialized, and of which member it is.
 *
 * The file is in etcd's subdirectory `member`, whose other files etcd ignores; in the data directory itself etcd would warn about it. It
 * is replaced atomically, and it is the first file that `emptyDataDirectory` removes: data without it are incomplete.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { asError } from '../shared/errors.ts';
import { FileReadError, readBoundedFile } from '../shared/files/bounded-file.ts';
import { DataDirectoryError } from './errors.ts';

const NAME = 'clustermesh-apiserver.json';

/** Bytes of the record of a data directory. */
const MAX_MARKER_BYTES = 4096;

const ID = z.string().regex(/^[0-9a-f]{1,16}$/);

const MARKER = z.object({
  version: z.literal(1),
  clusterName: z.string(),
  /** Absent where the etcd has a single member. */
  member: z
    .object({
      name: z.string(),
      /** Hexadecimal, as `clusterId`. */
      id: ID,
      clusterId: ID,
      /** Added to the cluster, but not known to be a voting member that is up to date. */
      isJoining: z.boolean(),
    })
    .optional(),
});

export type Marker = z.infer<typeof MARKER>;
export type MemberMarker = NonNullable<Marker['member']>;

/** Undefined where there is none. Throws DataDirectoryError for one that cannot be read. */
export async function readMarker(dataDir: string): Promise<Marker | undefined> {
  try {
    const text = (await readBoundedFile(fileIn(dataDir), MAX_MARKER_BYTES)).toString('utf8');
    return MARKER.parse(JSON.parse(text));
  } catch (thrown) {
    if (thrown instanceof FileReadError && (thrown.errno === 'ENOENT' || thrown.errno === 'ENOTDIR')) return undefined;
    const cause = thrown instanceof FileReadError ? thrown.message : `${fileIn(dataDir)} is malformed`;
    throw new DataDirectoryError(dataDir, `has an unknown origin (${cause}); empty it, or set another directory`);
  }
}

/** Returns after the record is on the disk. */
export async function writeMarker(dataDir: string, marker: Marker): Promise<void> {
  const file = fileIn(dataDir);
  const draft = `${file}.new`;
  try {
    await mkdir(join(dataDir, 'member'), { recursive: true, mode: 0o700 });
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(marker)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, file);
    await syncDirectory(join(dataDir, 'member'));
    await syncDirectory(dataDir);
  } catch (thrown) {
    throw new DataDirectoryError(dataDir, `cannot be written (${asError(thrown).message}); make it writable for this user`);
  }
}

/** Returns after the record is gone from the disk. */
export async function removeMarker(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
  await syncDirectory(join(dataDir, 'member')).catch(() => undefined);
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'member', NAME);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
