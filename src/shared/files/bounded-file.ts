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
    return await readUpTo(handle, { file, maxBytes, reportedBytes: status.size });
  } catch (thrown) {
    if (thrown instanceof FileReadError) throw thrown;
    throw new FileReadError(`${file}: cannot be read: ${asError(thrown).message}`, thrown);
  }
}

interface ReadLimits {
  readonly file: string;
  readonly maxBytes: number;
  /** No limit: a file may grow while it is read. A byte more shows the end of one that has not. */
  readonly reportedBytes: number;
}

async function readUpTo(handle: FileHandle, { file, maxBytes, reportedBytes }: ReadLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  let chunkBytes = Math.min(CHUNK_BYTES, reportedBytes + 1, maxBytes + 1);
  for (;;) {
    const buffer = Buffer.alloc(chunkBytes);
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled);
      if (bytesRead === 0) return Buffer.concat([...chunks, buffer.subarray(0, filled)], length + filled);
      filled += bytesRead;
    }
    chunks.push(buffer);
    length += filled;
    if (length > maxBytes) throw new FileReadError(`${file}: larger than ${maxBytes} bytes`);
    chunkBytes = Math.min(CHUNK_BYTES, maxBytes + 1 - length);
  }
}
