/**
 * An address that answers no attempt to connect, as that of a host that is gone: a listener whose process is suspended and
 * whose queue of connections is full. The kernel drops what comes then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

export interface SynBlackHole extends AsyncDisposable {
  readonly port: number;
  /** The port is free again. */
  stop(): Promise<void>;
}

const LISTENER = `
  const server = require('node:net').createServer().listen({ port: Number(process.argv[1]), host: process.argv[2], backlog: 1 });
  server.on('listening', () => console.log(server.address().port));
`;

/** How long an attempt that is answered takes at most on loopback. */
const ANSWER_MS = 500;

/** On a free port, or on the given one. */
export async function startSynBlackHole(host = '127.0.0.1', wanted = 0): Promise<SynBlackHole> {
  const child = spawn(process.execPath, ['-e', LISTENER, String(wanted), host], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(line.toString());
  child.kill('SIGSTOP');
  const queued: Socket[] = [];
  const stop = async () => {
    for (const socket of queued) socket.destroy();
    await killed(child);
  };
  for (let full = false; !full; ) {
    const socket = createConnection({ host, port }).on('error', () => undefined);
    queued.push(socket);
    full = !(await connects(socket));
    if (queued.length > 64) throw new Error('the queue of the listener does not fill up');
  }
  return { port, stop, [Symbol.asyncDispose]: stop };
}

function connects(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ANSWER_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
