/**
 * How a member without data tells the first member so: that one may begin a cluster only if no other member has data.
 *
 * A waiting member listens on its peer port, with TLS as between members of etcd, and sends one line of JSON to a member that names
 * the protocol `clustermesh-apiserver-waiting` in its handshake (ALPN). etcd does not know the protocol and refuses the handshake, so
 * no other process can be mistaken for a waiting member.
 */
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import * as z from 'zod';
import { asError } from '../../shared/errors.ts';
import { readBoundedFile } from '../../shared/files/bounded-file.ts';
import { MAX_PEM_FILE_BYTES } from '../../shared/limits.ts';
import type { Logger } from '../../shared/process/log.ts';
import { certificateOf } from '../../shared/tls/certificate.ts';
import { handshake } from '../../shared/tls/handshake.ts';
import { Trust } from '../../shared/tls/trust.ts';
import { PeerPortError } from '../errors.ts';
import type { PeerFiles, Plan, PlannedMember } from './plan.ts';

const PROTOCOL = 'clustermesh-apiserver-waiting';

/** Bytes of the answer of a waiting member. */
const MAX_ANSWER_BYTES = 1024;

/** Connections to a waiting member at a time, and the duration of one. */
const MAX_CONNECTIONS = 16;
const CONNECTION_TIMEOUT_MS = 5_000;

const ANSWER = z.object({ clusterName: z.string(), member: z.string(), hasData: z.literal(false) });

/** Rejects with FileReadError or TlsFilesError where connections between members cannot work. */
export async function checkPeerFiles({ peer }: Plan): Promise<void> {
  new Trust(await readPeerFiles(peer));
}

/** Answers until it is closed. Rejects with PeerPortError, TlsFilesError or FileReadError. */
export async function answerWaiting({ clusterName, self, peer }: Plan, log: Logger): Promise<AsyncDisposable> {
  const { ca, cert, key } = await readPeerFiles(peer);
  const answer = JSON.stringify({ clusterName, member: self.name, hasData: false } satisfies z.infer<typeof ANSWER>);
  const sockets = new Set<TLSSocket>();
  const server = createServer(
    // As in etcd every certificate of `ca` is an anchor.
    { ca, cert, key, allowPartialTrustChain: true, minVersion: 'TLSv1.2', requestCert: true, ALPNProtocols: [PROTOCOL] },
    (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.setTimeout(CONNECTION_TIMEOUT_MS, () => socket.destroy());
      const name = commonNameOf(socket);
      if (socket.alpnProtocol === PROTOCOL && name === peer.allowedCn) socket.end(answer);
      else {
        log.warn({ commonName: name, allowed: peer.allowedCn }, 'refused a connection to the peer port');
        socket.destroy();
      }
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.on('tlsClientError', (_, socket) => socket.destroy());
  try {
    server.listen(self.peerPort, ...(isIP(self.host) === 0 ? [] : [self.host]));
    await once(server, 'listening');
  } catch (thrown) {
    throw new PeerPortError(self.peerPort, asError(thrown).message);
  }
  return {
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Resolves where `other` is waiting without data. Rejects with the reason why that is unknown. */
export async function askWaiting(plan: Plan, other: PlannedMember, signal: AbortSignal): Promise<void> {
  const trust = new Trust(await readPeerFiles(plan.peer));
  const socket = connect({ host: other.host, port: other.peerPort, signal });
  try {
    await once(socket, 'connect');
    const { socket: secured, peer } = await handshake({ socket, alpn: [PROTOCOL], trust, host: other.host });
    const name = peer.certificates[0]?.commonName;
    if (name !== plan.peer.allowedCn)
      throw new Error(`the common name of its certificate is ${name}, not ${plan.peer.allowedCn}`);
    const { clusterName, member } = ANSWER.parse(JSON.parse(await allOf(secured)));
    if (clusterName !== plan.clusterName || member !== other.name)
      throw new Error(`it is member ${member} of cluster ${clusterName}`);
  } catch (thrown) {
    // The refusal of a server that does not know the protocol.
    const isOther = (asError(thrown) as NodeJS.ErrnoException).code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
    throw isOther ? new Error('its etcd is running', { cause: thrown }) : thrown;
  } finally {
    socket.destroy();
  }
}

async function allOf(socket: TLSSocket): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function readPeerFiles({ caFile, certFile, keyFile }: PeerFiles) {
  const read = async (file: string) => (await readBoundedFile(file, MAX_PEM_FILE_BYTES)).toString('utf8');
  return { ca: await read(caFile), cert: await read(certFile), key: await read(keyFile) };
}

function commonNameOf(socket: TLSSocket): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? undefined : certificateOf(certificate).commonName;
}
