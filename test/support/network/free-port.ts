/**
 * Ports for servers of tests: free, and reserved while this process lives.
 *
 * Test files run side by side, and a server that is restarted wants its port back: between its two lives only the
 * reservation, a file named after the port, keeps others away from it.
 */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFree } from '../../../demo/mesh/processes/free-port.ts';

/** Below the range that outgoing connections are given; the demonstration takes its own from above these. */
const FIRST = 20_000;
const COUNT = 8_000;

const DIRECTORY = join(tmpdir(), 'clustermesh-test-ports');
const reserved = new Set<string>();

process.once('exit', () => {
  for (const path of reserved) rmSync(path, { force: true });
});

/** A port of 127.0.0.1, each time another one. */
export async function freePort(): Promise<number> {
  mkdirSync(DIRECTORY, { recursive: true });
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
    if (reserve(join(DIRECTORY, String(port))) && (await isFree(port))) return port;
  }
}

function reserve(path: string): boolean {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    reserved.add(path);
    return true;
  } catch {
    if (!isAbandoned(path)) return false;
    rmSync(path, { force: true });
    return reserve(path);
  }
}

/** True if the process that reserved the port was killed. */
function isAbandoned(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, 'utf8'));
    if (pid === 0) return false;
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
