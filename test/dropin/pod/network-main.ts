/**
 * The network of a Pod: this process is started in an empty one, gives it addresses, and connects it to the rest by sockets in
 * the file system. So no bridge and no rule of the kernel is needed. Its argument is a NetworkPlan.
 */
import { execFileSync } from 'node:child_process';
import { connect, createServer, type NetConnectOpts, type Server } from 'node:net';
import type { NetworkPlan } from './network.ts';

const { addresses, inward, outward } = JSON.parse(process.argv[2] ?? '') as NetworkPlan;
const ip = (...words: readonly string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });

ip('link', 'set', 'lo', 'up');
for (const address of addresses) ip('address', 'add', `${address}/32`, 'dev', 'lo');
const servers = [
  ...inward.map(({ host, port, socket }) => forward({ host, port }, { path: socket })),
  ...outward.map(({ host, port, socket }) => forward({ path: socket }, { host, port })),
];
await Promise.all(servers);
process.stdout.write('ready\n');

function forward(from: { host?: string; port?: number; path?: string }, to: NetConnectOpts): Promise<Server> {
  const server = createServer((socket) => {
    const other = connect(to);
    socket.pipe(other).pipe(socket);
    for (const [end, peer] of [
      [socket, other],
      [other, socket],
    ] as const)
      end.on('error', () => peer.destroy()).on('close', () => peer.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(from, () => resolve(server));
  });
}
