/**
 * Whether the etcds behind an endpoint are ready for the next step of a rotation, asked by a handshake: etcd reads its CAs when it
 * starts, so what a Secret holds does not tell what an etcd trusts.
 */
import { connect } from 'node:net';
import { asError } from '../shared/errors.ts';
import { handshake } from '../shared/tls/handshake.ts';
import { Trust } from '../shared/tls/trust.ts';
import { type Authority, caName, pemOf } from './authority.ts';
import { BACKDATE_MS, issueLeaf } from './issue.ts';

/** For the name, the connection, the handshake and the answer together. */
const PROBE_TIMEOUT_MS = 5_000;

/** Of the certificate that the probe shows; no user of etcd has its name. */
const PROBE_NAME = 'clustermesh-apiserver-probe';
const PROBE_LIFE_MS = 10 * 60_000;

/** HTTP/2's client preface and an empty SETTINGS frame: a server that has accepted the certificate answers with its own. */
const HELLO = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);

export interface Probe {
  /** `https://host:port` */
  readonly endpoint: string;
  /** Issues the client certificate that is shown. */
  readonly shown: Authority;
  /** Has to have issued the certificate of the server. */
  readonly trusted: readonly Authority[];
  /** Wall clock. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** What is against it; undefined where the server trusts `shown` and is trusted by `trusted`. Throws the signal's reason. */
export async function probe({ endpoint, shown, trusted, nowMs, signal }: Probe): Promise<string | undefined> {
  const url = new URL(endpoint);
  const validity = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + PROBE_LIFE_MS };
  const client = { commonName: PROBE_NAME, dnsNames: [], ipAddresses: [], usage: 'client', ...validity } as const;
  const { certificate, key } = issueLeaf(client, shown);
  const trust = new Trust({
    ca: pemOf(trusted.flatMap(({ anchors }) => anchors)),
    cert: certificate + pemOf(shown.intermediates),
    key,
  });
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    await answered(url, trust, deadline);
    return undefined;
  } catch (thrown) {
    signal.throwIfAborted();
    if (deadline.aborted) return `${endpoint}: no answer within ${PROBE_TIMEOUT_MS / 1000} s`;
    const { code, message } = asError(thrown) as NodeJS.ErrnoException;
    if (code?.startsWith('ERR_SSL_') === true || code === 'ECONNRESET' || code === 'TLS_CLOSED')
      return `${endpoint}: it does not trust ${shown.anchors.map(caName).join(', ')} (${code})`;
    return `${endpoint}: ${message}`;
  }
}

/** With TLS 1.3 a server refuses a client's certificate after the handshake: only an answer proves that it did not. */
async function answered(url: URL, trust: Trust, signal: AbortSignal): Promise<void> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: Number(url.port || 443), signal });
  try {
    const { socket: secured } = await handshake({ socket, alpn: ['h2'], trust, host });
    await new Promise<void>((resolve, reject) => {
      secured.once('data', () => resolve());
      secured.once('error', reject);
      secured.once('close', () => reject(Object.assign(new Error('closed'), { code: 'TLS_CLOSED' })));
      secured.write(HELLO);
    });
  } finally {
    socket.destroy();
  }
}
