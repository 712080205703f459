/** Proxies that know the address of a test's API server under any name. */

import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Issued } from '../../support/tls/pki.ts';

export interface TestProxy {
  readonly port: number;
  /** What was asked for, in order: `CONNECT host:port`, `GET http://…`, `SOCKS host:port`. */
  readonly asked: string[];
  readonly authorizations: (string | undefined)[];
}

/** Answers CONNECT and requests with whole URLs; with TLS where `keys` are given. */
export async function httpProxy(targetPort: number, keys?: Issued): Promise<TestProxy> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const server: Server = keys === undefined ? createServer() : createSecureServer(keys);
  server.on('connect', (request, client: Socket) => {
    asked.push(`CONNECT ${request.url}`);
    authorizations.push(request.headers['proxy-authorization']);
    const target = connect(targetPort, '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    join(client, target);
  });
  server.on('request', (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    authorizations.push(request.headers['proxy-authorization']);
    const { pathname } = new URL(request.url ?? '');
    response.end(pathname === '/version' ? JSON.stringify({ gitVersion: 'v1-proxied' }) : '{}');
  });
  return { port: await listening(server), asked, authorizations };
}

/** SOCKS 5 (RFC 1928) without authentication. */
export async function socksProxy(targetPort: number): Promise<TestProxy> {
  const asked: string[] = [];
  const server = createTcpServer((client) => {
    client.on('error', () => undefined);
    client.once('data', () => {
      client.write(Buffer.from([5, 0]));
      client.once('data', (request: Buffer) => {
        const length = request[4] ?? 0;
        asked.push(`SOCKS ${request.toString('latin1', 5, 5 + length)}:${request.readUInt16BE(5 + length)}`);
        const target = connect(targetPort, '127.0.0.1', () => client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])));
        join(client, target);
      });
    });
  });
  return { port: await listening(server), asked, authorizations: [] };
}

function join(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const socket of [one, other]) {
    socket.on('error', () => undefined);
    socket.on('close', () => {
      one.destroy();
      other.destroy();
    });
  }
}

async function listening(server: TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
