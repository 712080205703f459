/** Ports that are free. */
import { createServer } from 'node:net';

const FIRST = 28_000;
const COUNT = 4_000;

/** Concurrent demos start at different ports. */
const PORTS_PER_PROCESS = 64;
let next = process.pid * PORTS_PER_PROCESS;

/**
 * A free port of 127.0.0.1, each time another one. It is below the range that outgoing connections are
 * given, so that a server that was killed gets it back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (next % COUNT);
    next += 1;
    if (await isFree(port)) return port;
  }
}

/** Whether nothing listens on `port` of 127.0.0.1. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
