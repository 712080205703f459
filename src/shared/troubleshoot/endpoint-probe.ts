/**
 * One endpoint, step by step: name, TCP, TLS, and whether an etcd responds.
 *
 * Nothing is trusted and nothing is rejected: an untrusted certificate is shown too.
 */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as dial, isIP, type LookupFunction, type Socket } from 'node:net';
import { hostKey, hostPort, parseEndpoint } from '../etcd/endpoint-address.ts';
import { MAX_VERSION_ANSWER_BYTES } from '../limits.ts';
import { onAbort, unlessAborted } from '../time/abort.ts';
import type { Certificate } from '../tls/certificate.ts';
import { handshake } from '../tls/handshake.ts';
import { mistrustOf } from '../tls/peer.ts';
import { Trust } from '../tls/trust.ts';
import type {
  ClientCertificates,
  EndpointFindings,
  Failure,
  TlsFindings,
  TrustedCertificates,
  VersionAnswer,
} from './findings.ts';
import { isFailure } from './findings.ts';
import { DEADLINE, dialFailure, lookupFailure, mistrustFailure, tlsFailure } from './go-errors.ts';

export interface ProbeOptions {
  readonly authorities: TrustedCertificates | undefined;
  readonly client: ClientCertificates | undefined;
  readonly hostAliases: ReadonlyMap<string, readonly string[]>;
  /** Wall clock, for the validity of certificates. */
  readonly nowMs: number;
  /** The deadline of all steps together. */
  readonly signal: AbortSignal;
}

/** `url` is an endpoint with scheme, host and port. Never rejects. */
export async function probeEndpoint(url: string, options: ProbeOptions): Promise<EndpointFindings> {
  const { secure: isSecure, host, port } = parseEndpoint(url);
  const address = hostPort(host, port);
  const resolved = isIP(host) === 0 ? await resolve(host, options) : undefined;
  const about = { url, host, address, isSecure, resolved, tls: undefined, plain: undefined, speaks: undefined };
  if (isFailure(resolved)) return { ...about, tcp: { ...resolved, text: `dial tcp: ${resolved.text}` } };
  const dialled = () => connect(resolved ?? [host], address, options.signal);
  const socket = await dialled();
  if (isFailure(socket)) return { ...about, tcp: socket };
  try {
    const tcp = { failed: false, remote: remoteOf(socket) } as const;
    if (isSecure) {
      const tls = await probeTls(socket, host, address, options);
      const isPlain =
        isFailure(tls) && tls.alert === undefined && (await onAnother(dialled, (other) => isPlainEtcd(other, address, options)));
      return { ...about, tcp, tls, speaks: isPlain ? 'plain' : undefined };
    }
    const plain = await askVersion(socket, address, options);
    const isTls = plain.kind !== 'version' && (await onAnother(dialled, (other) => isTlsServer(other, host, address, options)));
    return { ...about, tcp, plain, speaks: isTls ? 'tls' : undefined };
  } finally {
    socket.destroy();
  }
}

/** `use` with a connection of its own; false where there is none. */
async function onAnother(dialled: () => Promise<Socket | Failure>, use: (socket: Socket) => Promise<boolean>): Promise<boolean> {
  const socket = await dialled();
  if (isFailure(socket)) return false;
  try {
    return await use(socket);
  } finally {
    socket.destroy();
  }
}

async function isPlainEtcd(socket: Socket, address: string, options: ProbeOptions): Promise<boolean> {
  return (await askVersion(socket, address, options)).kind === 'version';
}

/** An alert is an answer too. */
async function isTlsServer(socket: Socket, host: string, address: string, options: ProbeOptions): Promise<boolean> {
  const tls = await probeTls(socket, host, address, options);
  return !isFailure(tls) || tls.alert !== undefined;
}

async function resolve(host: string, { hostAliases, signal }: ProbeOptions): Promise<readonly string[] | Failure> {
  const given = hostAliases.get(hostKey(host));
  if (given !== undefined) return given;
  try {
    const found = await unlessAborted(lookup(host, { all: true }), signal);
    return found.map(({ address }) => address);
  } catch (thrown) {
    return lookupFailure(host, thrown, signal.aborted);
  }
}

async function connect(addresses: readonly string[], address: string, signal: AbortSignal): Promise<Socket | Failure> {
  const known = addresses.map((each) => ({ address: each, family: isIP(each) }));
  const look: LookupFunction = (_, options, callback) =>
    options.all ? callback(null, known) : callback(null, known[0]?.address ?? '', known[0]?.family);
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  // The lookup decides the address; the host is only a label that must not look like an address.
  const socket = dial({ host: 'endpoint', port, lookup: look, autoSelectFamily: true });
  try {
    await once(socket, 'connect', { signal });
    // From now on the user of the socket handles its events; an error in between must not end the process.
    socket.on('error', () => undefined);
    return socket;
  } catch (thrown) {
    socket.on('error', () => undefined);
    socket.destroy();
    const [only] = addresses;
    const dialled = addresses.length === 1 && only !== undefined && isIP(only) === 4 ? `${only}:${port}` : address;
    return dialFailure(dialled, thrown, signal.aborted);
  }
}

async function probeTls(socket: Socket, host: string, address: string, options: ProbeOptions): Promise<TlsFindings | Failure> {
  const { authorities, client, signal, nowMs } = options;
  try {
    const trust = new Trust({ ca: authorities?.pem, cert: client?.certPem, key: client?.keyPem });
    // A time-out destroys the socket, and so ends the handshake.
    const unlink = onAbort(signal, () => socket.destroy());
    const rules = { trust, host, skipVerify: true };
    const { socket: stream, peer } = await handshake({ socket, alpn: [], ...rules }).finally(unlink);
    const { certificates } = peer;
    const mistrust = mistrustFailureOf(mistrustOf(stream, certificates, trust, nowMs), certificates, nowMs);
    const { standardName: cipher } = stream.getCipher();
    const version = versionName(stream.getProtocol());
    // Requested even if the server is not trusted: whether it accepts the client is another question.
    return { failed: false, version, cipher, certificates, mistrust, answer: await askVersion(stream, address, options) };
  } catch (thrown) {
    return tlsFailure(thrown, signal.aborted);
  }
}

function mistrustFailureOf(code: string | undefined, [leaf]: readonly Certificate[], nowMs: number): Failure | undefined {
  return code === undefined ? undefined : mistrustFailure(code, nowMs, leaf?.notBeforeMs ?? 0, leaf?.notAfterMs ?? 0);
}

/**
 * `GET /version`. With TLS 1.3 a server rejects the client's certificate only after the handshake, hence a response must
 * be read.
 */
async function askVersion(stream: Socket, address: string, { signal, nowMs }: ProbeOptions): Promise<VersionAnswer> {
  const askedMs = performance.now();
  const unlink = onAbort(signal, () => stream.destroy());
  try {
    stream.write(`GET /version HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      text += chunk.toString('latin1');
      const version = /"etcdserver":"(\d[0-9A-Za-z.+-]{0,40})"/.exec(text)?.[1];
      if (version !== undefined) return { kind: 'version', version, aheadMs: aheadOf(text, nowMs + performance.now() - askedMs) };
      if (text.length > MAX_VERSION_ANSWER_BYTES) break;
    }
    return text === '' ? failedAnswer('EOF', 'EOF') : { kind: 'unknown' };
  } catch (thrown) {
    return signal.aborted ? failedAnswer(DEADLINE, 'i/o timeout') : { kind: 'failed', failure: tlsFailure(thrown, false) };
  } finally {
    unlink();
  }
}

/** By the date that every HTTP response of etcd has, which has no fractions of a second. */
function aheadOf(response: string, nowMs: number): number | undefined {
  const dateMs = Date.parse(/^date: ([^\r\n]{1,40})\r?$/im.exec(response)?.[1] ?? '');
  if (Number.isNaN(dateMs)) return undefined;
  const aheadMs = dateMs - nowMs;
  return aheadMs < 0 ? Math.min(0, aheadMs + 1_000) : aheadMs;
}

function failedAnswer(code: string, text: string): VersionAnswer {
  return { kind: 'failed', failure: { failed: true, code, text } };
}

function remoteOf(socket: Socket): string {
  const { remoteAddress = '', remotePort = 0 } = socket;
  return isIP(remoteAddress) === 6 ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

function versionName(protocol: string | null): string {
  return (protocol ?? 'unknown').replace(/^TLSv1$/, 'TLS 1.0').replace(/^TLSv/, 'TLS ');
}
