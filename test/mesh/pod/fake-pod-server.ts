/** An API server with a ConfigMap of Cilium, and WebSockets to Pods that a test answers. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { Cluster } from '../../../src/mesh/cluster.ts';
import { kubeconfigText } from '../../support/kubernetes/kubeconfig.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const CONFIG = { data: { 'cluster-name': 'east', 'cluster-id': '1' } };

/** One WebSocket, as its server sees it. */
export class PodSocket {
  readonly #socket: Duplex;
  #pending = Buffer.alloc(0);
  /** Payloads that the client sent. */
  readonly received: Buffer[] = [];
  isClosed = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      this.isClosed = true;
    });
  }

  /** A binary message, in `parts` frames. */
  send(stream: number, content: string | Buffer, parts = 1): void {
    const message = Buffer.concat([Buffer.of(stream), Buffer.from(content)]);
    const size = Math.ceil(message.length / parts);
    for (let at = 0; at < message.length; at += size) {
      const isLast = at + size >= message.length;
      this.raw(serverFrame((at === 0 ? 2 : 0) | (isLast ? 0x80 : 0), message.subarray(at, at + size)));
    }
  }

  raw(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  cut(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= 6) {
      const short = (this.#pending[1] ?? 0) & 0x7f;
      const header = short === 126 ? 4 : short === 127 ? 10 : 2;
      const length =
        short === 126 ? this.#pending.readUInt16BE(2) : short === 127 ? Number(this.#pending.readBigUInt64BE(2)) : short;
      if (this.#pending.length < header + 4 + length) return;
      const mask = this.#pending.subarray(header, header + 4);
      const payload = Buffer.from(this.#pending.subarray(header + 4, header + 4 + length));
      for (let at = 0; at < length; at += 1) payload[at] = (payload[at] ?? 0) ^ (mask[at % 4] ?? 0);
      this.received.push(payload);
      this.#pending = this.#pending.subarray(header + 4 + length);
    }
  }
}

export function serverFrame(first: number, payload: Buffer): Buffer {
  const length = Buffer.alloc(payload.length < 126 ? 1 : payload.length < 65_536 ? 3 : 9);
  length[0] = payload.length < 126 ? payload.length : length.length === 3 ? 126 : 127;
  if (length.length === 3) length.writeUInt16BE(payload.length, 1);
  if (length.length === 9) length.writeBigUInt64BE(BigInt(payload.length), 1);
  return Buffer.concat([Buffer.of(first), length, payload]);
}

type Answer = (socket: PodSocket, url: URL) => void;

export class FakePodServer implements AsyncDisposable {
  /** Of the refused requests for a WebSocket; they are accepted while this is undefined. */
  refusal: { readonly status: number; readonly body: string } | undefined;
  answer: Answer = () => undefined;
  readonly requests: IncomingMessage[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('upgrade', (request: IncomingMessage, socket: Duplex) => this.#upgrade(request, socket));
  }

  static async start(): Promise<FakePodServer> {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(CONFIG));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakePodServer(server);
  }

  async cluster(): Promise<Cluster> {
    const kubeconfig = join(temporaryDirectory('pod-server'), 'kubeconfig');
    const { port } = this.#server.address() as AddressInfo;
    writeFileSync(kubeconfig, kubeconfigText({ server: `http://127.0.0.1:${port}` }, {}));
    return Cluster.open({ kubeconfig, context: '', namespace: 'kube-system' }, new AbortController().signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    this.requests.push(request);
    this.#sockets.add(socket);
    if (this.refusal !== undefined) {
      const { status, body } = this.refusal;
      socket.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return;
    }
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const lines = [
      'HTTP/1.1 101 Switching Protocols',
      'upgrade: websocket',
      'connection: upgrade',
      `sec-websocket-accept: ${createHash('sha1').update(key).digest('base64')}`,
      `sec-websocket-protocol: ${String(request.headers['sec-websocket-protocol']).split(', ').at(-1)}`,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    this.answer(new PodSocket(socket), new URL(request.url ?? '', 'http://server'));
  }
}
