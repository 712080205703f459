/**
 * Reads files of the operator so that none of them can block the program: a FIFO or a device instead of a file, or
 * a file of any size, causes only an error.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { asError, ProgramError } from '../errors.ts';

/** A file that cannot be read. The message starts with its name. */
export class FileReadError extends ProgramError {
  readonly code = 'FILE_READ';
  readonly retriable = true;
  /** The error code of the system, such as `ENOENT`; absent if the file is of the wrong type or too large. */
  readonly errno: string | undefined;

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.errno = cause === undefined ? undefined : (asError(cause) as NodeJS.ErrnoException).code;
  }
}

const CHUNK_BYTES = 64 * 1024;

/** The content of `file`, symbolic links followed. Throws FileReadError, also where it has more than `maxBytes`. */
export async function readBoundedFile(file: string, maxBytes: number): Promise<Buffer> {
  try {
    // Without O_NONBLOCK opening a FIFO holds one of few threads until a writer comes.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = await handle.stat();
    if (status.isDirectory()) throw new FileReadError(`${file}: is a directory; name a file`);
    if (!status.isFile()) throw new FileReadError(`${file}: is not a regular file; name a file`);
    return await readUpTo(handle, file, maxBytes);
  } catch (thrown) {
    if (thrown instanceof FileReadError) throw thrown;
    throw new FileReadError(`${file}: cannot be read: ${asError(thrown).message}`, thrown);
  }
}

/** The reported size of a file is no limit: it may grow while it is read. */
async function readUpTo(handle: FileHandle, file: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, maxBytes + 1 - length));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return Buffer.concat(chunks, length);
    chunks.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
    if (length > maxBytes) throw new FileReadError(`${file}: larger than ${maxBytes} bytes`);
  }
}
