/**
 * Checks by a TLS handshake whether the etcd behind an endpoint is ready for the next rotation step. etcd reads its trusted CAs
 * only at its start, so the content of a Secret does not tell what a running etcd trusts.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { asError } from '../shared/errors.ts';
import { handshake } from '../shared/tls/handshake.ts';
import { Trust } from '../shared/tls/trust.ts';
import { type Authority, caName, pemOf } from './authority.ts';
import { BACKDATE_MS, issueLeaf } from './issue.ts';

/** For name resolution, connection, handshake and answer together. */
const PROBE_TIMEOUT_MS = 5_000;

/** Common name of the probe's client certificate; no etcd user has it. */
const PROBE_NAME = 'clustermesh-apiserver-probe';
/** Validity of the client certificate that only the probe uses. */
const PROBE_LIFE_MS = 10 * 60_000;

/** HTTP/2 client preface and an empty SETTINGS frame; a server that accepted the certificate answers with its SETTINGS. */
const HELLO = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])]);

export interface Probe {
  /** `https://host:port` */
  readonly endpoint: string;
  /** Issues the probe's client certificate. */
  readonly shown: Authority;
  /** One of these must have issued the server certificate. */
  readonly trusted: readonly Authority[];
  /** Wall clock. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** Why the endpoint is not ready; undefined if it trusts `shown` and its certificate is of `trusted`. Throws the signal's reason. */
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
      return `${endpoint}: etcd does not trust ${shown.anchors.map(caName).join(', ')} (${code})`;
    return `${endpoint}: ${message}`;
  }
}

/** With TLS 1.3 a server verifies the client certificate after the client's handshake is complete: only an answer proves acceptance. */
async function answered(url: URL, trust: Trust, signal: AbortSignal): Promise<void> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({ host, port: Number(url.port || 443), signal });
  try {
    await once(socket, 'connect');
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
