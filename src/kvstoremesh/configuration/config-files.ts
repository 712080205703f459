/**
 * Reads the files of the configuration directory.
 *
 * Only a file that does not exist is missing; an unreadable one is not. Volumes of Secrets
 * consist of links, so a link with a missing target in an existing directory is a missing file;
 * a link into a missing directory means that a volume is not mounted at the moment.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir, readlink, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { asError, ProgramError } from '../../shared/errors.ts';
import { fileVersion } from '../../shared/files/file-version.ts';
import { MAX_CONFIG_FILE_BYTES } from '../../shared/limits.ts';

export interface ConfigFiles {
  /** The names in the directory `path`. Rejects with the error of the system. */
  list(path: string): Promise<readonly string[]>;
  /**
   * The content of the file `path`, or its size where it is larger than MAX_CONFIG_FILE_BYTES. Undefined where it does not
   * exist. Rejects with NotAFileError, or with the error of the system where it exists and cannot be read.
   */
  read(path: string): Promise<Buffer | number | undefined>;
  /** See `fileVersion`. */
  version(path: string): Promise<string | undefined>;
}

/** The path leads to a directory, a pipe, a socket or a device. */
export class NotAFileError extends ProgramError {
  readonly code = 'NOT_A_FILE';
  readonly retriable = true;

  constructor() {
    super('not a regular file');
  }
}

/** A link leads into a directory that does not exist. */
class DanglingLinkError extends ProgramError {
  readonly code = 'DANGLING_LINK';
  readonly retriable = true;

  constructor() {
    super('a symbolic link into a directory that does not exist; check that its volume is mounted');
  }
}

/** Links that are followed; the limit of Linux. */
const MAX_LINKS = 40;

/** Most files are smaller; files without a size are also read up to here. */
const LEAST_BUFFER_BYTES = 16 * 1024;

export const systemFiles: ConfigFiles = {
  list: (path) => readdir(path),
  async read(path) {
    try {
      return await content(path);
    } catch (thrown) {
      if (errorNumberOf(thrown) !== 'ENOENT') throw thrown;
      if (await isMissingVolume(path)) throw new DanglingLinkError();
      return undefined;
    }
  },
  version: fileVersion,
};

async function content(path: string): Promise<Buffer | number> {
  if (!(await stat(path)).isFile()) throw new NotAFileError();
  // Do not block on a pipe that has replaced the file.
  await using handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const status = await handle.stat();
  if (!status.isFile()) throw new NotAFileError();
  if (status.size > MAX_CONFIG_FILE_BYTES) return status.size;
  const buffer = Buffer.alloc(Math.max(status.size + 1, LEAST_BUFFER_BYTES));
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await handle.read(buffer, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** `path` does not lead to a file: whether it is a link into a directory that does not exist. */
async function isMissingVolume(path: string): Promise<boolean> {
  let at = path;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const status = await existing(lstat(at));
    if (status === undefined) return links > 0 && (await existing(stat(dirname(at)))) === undefined;
    // The link has a target again: the next scan reads it.
    if (!status.isSymbolicLink()) return false;
    const target = await existing(readlink(at));
    if (target === undefined) return false;
    at = resolve(dirname(at), target);
  }
  return false;
}

/** Undefined where it does not exist. */
async function existing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (thrown) {
    if (errorNumberOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** `ENOENT`, `EACCES` and so on, of an error of the system or of one that it has caused. */
export function errorNumberOf(thrown: unknown): string | undefined {
  for (let error = thrown, depth = 0; error instanceof Error && depth < 8; error = error.cause, depth += 1) {
    if ('errno' in error && typeof error.errno === 'number' && 'code' in error) return String(error.code);
  }
  return undefined;
}

/** What is wrong, without the path: `EACCES: permission denied`. */
export function problemOf(thrown: unknown): string {
  const { message } = asError(thrown);
  return errorNumberOf(thrown) === undefined ? message : (message.split(', ', 1)[0] ?? message);
}
