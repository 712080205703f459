/**
 * A port of this machine for a port of a Pod, over the protocol `v4.channel.k8s.io` of the kubelet: stream 0 has the bytes of the
 * connection, stream 1 an error; the first message of each is the number of the port. Each connection has a WebSocket of its own.
 * The protocol cannot end one direction only.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asError } from '../../shared/errors.ts';
import type { WebSocket } from '../../shared/kubernetes/web-socket/web-socket.ts';
import { printable } from '../../shared/printable.ts';
import { LinkedAbort, onAbort } from '../../shared/time/abort.ts';
import type { Cluster } from '../cluster.ts';
import { PodStreamError } from '../errors.ts';
import { openPodSocket, podError } from './pod-socket.ts';

const PROTOCOLS = ['v4.channel.k8s.io'];
const DATA = 0;
const HOST = '127.0.0.1';
/** A page in a browser opens six. */
const MAX_CONNECTIONS = 64;
/** Characters shown of why a connection failed. */
const MAX_REASON_LENGTH = 300;

export interface PodPort {
  readonly pod: string;
  readonly port: number;
  /** Of this machine; 0 for one that is free. */
  readonly localPort?: number;
  /** Receives why a connection failed; others continue. */
  readonly onFailure?: (error: Error) => void;
}

export interface ForwardedPort {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Ends all connections. Idempotent. */
  close(): Promise<void>;
}

/**
 * Listens until `signal` or `close` ends it. Throws PodForbiddenError, PodMissingError, PodStreamError, ClusterAccessError, or the error of
 * a local port that is in use.
 */
export async function forwardPort(cluster: Cluster, target: PodPort, signal: AbortSignal): Promise<ForwardedPort> {
  await probe(cluster, target, signal);
  const lifetime = new LinkedAbort(signal);
  const server = createServer((local) => {
    local.on('error', () => undefined);
    forward(cluster, target, local, lifetime.signal).catch((thrown: unknown) => {
      local.destroy();
      if (!lifetime.signal.aborted) target.onFailure?.(asError(thrown));
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.listen({ host: HOST, port: target.localPort ?? 0, signal: lifetime.signal });
  await once(server, 'listening');
  const close = async () => {
    lifetime.abort(new Error('the port is closed'));
    if (server.listening) await once(server, 'close');
  };
  return { port: portOf(server), close };
}

/** Fails where no connection can be made, before there is a listener. */
async function probe(cluster: Cluster, target: PodPort, signal: AbortSignal): Promise<void> {
  const limit = new LinkedAbort(signal);
  try {
    const socket = await openForward(cluster, target, limit.signal);
    await fromPod(cluster, target, socket, limit.signal).next();
  } finally {
    limit.abort(new Error('ended'));
  }
}

function openForward(cluster: Cluster, { pod, port }: PodPort, signal: AbortSignal): Promise<WebSocket> {
  const query = new URLSearchParams({ ports: String(port) });
  return openPodSocket(cluster, { pod, subresource: 'portforward', query, protocols: PROTOCOLS, signal });
}

async function forward(cluster: Cluster, target: PodPort, local: Socket, signal: AbortSignal): Promise<void> {
  const limit = new LinkedAbort(signal);
  const unlink = onAbort(limit.signal, () => local.destroy());
  local.pause();
  try {
    const socket = await openForward(cluster, target, limit.signal);
    const sending = toPod(local, socket).catch(() => undefined);
    const bytes = Readable.from(fromPod(cluster, target, socket, limit.signal), { objectMode: false });
    await pipeline(bytes, local);
    await sending;
  } catch (thrown) {
    // The client left first.
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'ERR_STREAM_PREMATURE_CLOSE')) throw thrown;
  } finally {
    unlink();
    local.destroy();
    limit.abort(new Error('ended'));
  }
}

async function toPod(local: Socket, socket: WebSocket): Promise<void> {
  try {
    for await (const chunk of local) await socket.send(Buffer.concat([Buffer.of(DATA), chunk as Buffer]));
  } finally {
    socket.close();
  }
}

/** The bytes of the connection; the first chunk is empty. Throws PodStreamError where the Pod refuses it. */
async function* fromPod(cluster: Cluster, { pod, port }: PodPort, socket: WebSocket, signal: AbortSignal) {
  const seen = new Set<number | undefined>();
  const request = { pod, subresource: 'portforward', signal } as const;
  try {
    for await (const message of socket.messages()) {
      const [stream] = message;
      const isFirst = !seen.has(stream);
      seen.add(stream);
      const content = message.subarray(isFirst ? 3 : 1);
      if (stream === DATA) yield content;
      else if (content.length > 0) throw new PodStreamError(refusalText(cluster, pod, port, content));
    }
  } catch (thrown) {
    throw thrown instanceof PodStreamError ? thrown : podError(cluster, request, thrown);
  }
}

function refusalText(cluster: Cluster, pod: string, port: number, content: Buffer): string {
  const reason = printable(content.toString().trim(), MAX_REASON_LENGTH);
  return `context ${cluster.context}: port ${port} of Pod ${cluster.namespace}/${pod}: ${reason}`;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
