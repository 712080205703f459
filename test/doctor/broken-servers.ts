/** Servers and paths that misbehave in ways that no proxy of test/support has. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { CertificateFiles } from '../support/tls/certificates.ts';

export interface Listening {
  readonly port: number;
  stop(): void;
}

/** A load balancer that leads each connection to the next of `ports`. */
export async function startAlternator(ports: readonly number[]): Promise<Listening> {
  let next = 0;
  return listening(
    createServer((client) => {
      const server = connect(ports[next % ports.length] ?? 0, '127.0.0.1');
      next += 1;
      join(client, server);
      client.pipe(server);
      server.pipe(client);
    }),
  );
}

/** Bytes of a segment that passes a tunnel whose MTU is too small for the hosts behind it. */
const SMALL_SEGMENT = 4 * 1024;

/** A path that loses large segments, and with them all that follows on the connection. */
export async function startSmallPath(port: number): Promise<Listening> {
  return listening(
    createServer((client) => {
      const server = connect(port, '127.0.0.1');
      join(client, server);
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        let isLost = false;
        from.on('data', (chunk: Buffer) => {
          isLost ||= chunk.length > SMALL_SEGMENT;
          if (!isLost) to.write(chunk);
        });
      }
    }),
  );
}

/** A web server that knows nothing of etcd. */
export async function startWebServer({ certFile, keyFile }: CertificateFiles): Promise<Listening> {
  const files = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  return listening(createSecureServer(files, (_, answer) => answer.end('hello')) as unknown as Server);
}

function join(client: Socket, server: Socket): void {
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}

async function listening(server: Server): Promise<Listening> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}
