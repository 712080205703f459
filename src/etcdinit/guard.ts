/**
 * The parent process of our etcd, which must not outlive this process: it starts etcd, reports its
 * state, forwards signals, and kills etcd as soon as this process exits, even if it was killed.
 *
 * It is text and not a module because it runs with `node --eval`, independent of the files of the program.
 */

/** The messages of the guard about etcd. */
export type GuardMessage =
  | { readonly kind: 'started'; readonly pid: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'ended'; readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** Arguments: the candidates for etcd as JSON, of which the first one that exists is taken, then etcd's own arguments. */
export const GUARD_SCRIPT = `
const { spawn } = require('node:child_process');
const [candidates, ...args] = process.argv.slice(1);
let etcd;
const tell = (message) => process.connected && process.send(message, () => undefined);
const leave = (message) => {
  tell(message);
  process.exitCode = 0;
  if (process.connected) process.disconnect();
};
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => undefined);
process.on('disconnect', () => etcd?.kill('SIGKILL'));
process.on('message', (signal) => etcd?.kill(signal));
const start = ([command, ...others]) => {
  etcd = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  etcd.once('spawn', () => (process.connected ? tell({ kind: 'started', pid: etcd.pid }) : etcd.kill('SIGKILL')));
  etcd.once('error', (error) => {
    if (etcd.pid !== undefined) return;
    if (error.code === 'ENOENT' && others.length > 0) start(others);
    else leave({ kind: 'failed', reason: error.message });
  });
  etcd.once('exit', (code, signal) => leave({ kind: 'ended', code, signal }));
};
start(JSON.parse(candidates));
`;

/** `message` if it has the form of a guard message, otherwise undefined. */
export function guardMessage(message: unknown): GuardMessage | undefined {
  if (typeof message !== 'object' || message === null || !('kind' in message)) return undefined;
  return ['started', 'failed', 'ended'].includes(String(message.kind)) ? (message as GuardMessage) : undefined;
}
