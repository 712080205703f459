/** Whether a file has changed, without reading it: with hundreds of remote clusters there are hundreds of files that hardly ever change. */
import { stat } from 'node:fs/promises';

/** File systems have times of a few milliseconds to two seconds, and the clock of another host may be behind. */
const SETTLED_MS = 60_000;

/**
 * A text that is another one once the content of `file` has changed, symbolic links followed. Undefined where the system cannot tell: it
 * was changed in the last minute, so that its next change may have the same time, or it is no regular file. Never rejects.
 */
export async function fileVersion(file: string): Promise<string | undefined> {
  try {
    const status = await stat(file);
    // A program can set the time of the last change of the content, but not that of the file's state.
    const { dev, ino, size, mtimeMs, ctimeMs } = status;
    if (!status.isFile() || Date.now() - ctimeMs < SETTLED_MS) return undefined;
    return [dev, ino, size, mtimeMs, ctimeMs].join();
  } catch {
    return undefined;
  }
}
