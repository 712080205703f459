/** What is wrong with a TLS connection, and what to do about it. */
import { nameVerdict } from '../tls/server-name.ts';
import type { ClientCertificates, ConfigFindings, EndpointFindings, Failure, TlsFindings } from './findings.ts';
import { isFailure } from './findings.ts';
import { DEADLINE } from './go-errors.ts';

type Usable = Extract<ConfigFindings, { kind: 'usable' }>;

/** Alerts about the client's certificate (RFC 8446, section 6.2). */
const CERTIFICATE_ALERTS = [42, 43, 44, 45, 46, 48, 49, 116];
const CERTIFICATE_REQUIRED = 116;

const SHOWN_NAMES = 20;

/** In the order in which they would have to be solved. */
export function tlsVerdicts(
  endpoint: EndpointFindings,
  tls: TlsFindings | Failure,
  config: Usable,
  nowMs: number,
): readonly string[] {
  if (isFailure(tls)) return [handshakeVerdict(tls, config.client)];
  const { mistrust, answer } = tls;
  const isVerified = config.config.skipVerify !== true;
  return [
    ...(mistrust === undefined || !isVerified ? [] : [mistrustVerdict(tls, mistrust, config, nowMs)]),
    ...(isVerified ? nameProblem(endpoint, tls) : []),
    ...(answer?.kind === 'failed' ? [handshakeVerdict(answer.failure, config.client)] : []),
    ...(answer?.kind === 'unknown' ? ['the server is not etcd; check the address and the port'] : []),
  ];
}

function handshakeVerdict({ alert, code, text }: Failure, client: ClientCertificates | undefined): string {
  if (alert !== undefined && CERTIFICATE_ALERTS.includes(alert)) return refusedVerdict(alert, text, client);
  if (text.includes('first record')) return 'the server does not use TLS; check the port, or use http if it serves plain text';
  if (code === DEADLINE)
    return 'the server accepts connections but sends nothing; check the proxies and load balancers in between, and their backends';
  if (code === 'EOF' || code === 'ECONNRESET') {
    return 'the server closes the connection during the TLS handshake; check the port, whether it serves plain text (http), and the proxies in between';
  }
  return `the TLS handshake failed: ${text}; check the port, and the versions of TLS that the server allows`;
}

function refusedVerdict(alert: number, text: string, client: ClientCertificates | undefined): string {
  if (client === undefined) return 'the server requires a client certificate and the file has none; add cert-file and key-file';
  const [leaf] = client.chain;
  const whose = `the client certificate ${leaf.subject}, issued by ${leaf.issuer}`;
  if (alert === CERTIFICATE_REQUIRED)
    return `the server reports that it received no client certificate, although one is configured: ${whose}`;
  const mistrust = client.mistrust === undefined ? '' : '; it was not issued by the configured CA either';
  return `the server rejects ${whose} (${text})${mistrust}; use a certificate issued by a CA that the server trusts (its --trusted-ca-file)`;
}

function mistrustVerdict({ certificates }: TlsFindings, { code }: Failure, config: Usable, nowMs: number): string {
  const [leaf] = certificates;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
    const other = certificates.find(({ notAfterMs, notBeforeMs }) => notAfterMs < nowMs || notBeforeMs > nowMs) ?? leaf;
    const what = other === undefined ? 'the certificate of the server' : `the certificate ${other.subject} of the server`;
    const when = other === undefined ? '' : `: it is valid from ${day(other.notBeforeMs)} to ${day(other.notAfterMs)} UTC`;
    return `${what} ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'}${when}; renew it, or check the clocks`;
  }
  const issuer = certificates.at(-1);
  const from = issuer === undefined ? 'an unknown issuer' : `${issuer.issuer}${keyId(issuer.authorityKeyId)}`;
  const trusted = config.authorities?.certificates.map(({ subject, subjectKeyId }) => `${subject}${keyId(subjectKeyId)}`);
  const known = trusted === undefined ? "the system's CAs" : trusted.slice(0, SHOWN_NAMES).join(', ');
  return `the certificate of the server was issued by ${from}, trusted is ${known}; add the CA of that cluster to trusted-ca-file`;
}

/** CAs of one name are distinguished by their keys. */
function keyId(id: string | undefined): string {
  return id === undefined ? '' : ` (key ${id})`;
}

function nameProblem({ host }: EndpointFindings, { certificates: [leaf] }: TlsFindings): readonly string[] {
  const verdict = leaf === undefined ? 'covered' : nameVerdict(leaf, host);
  if (leaf === undefined || verdict === 'covered') return [];
  if (verdict === 'legacy') {
    return [
      `${host} is only the common name of the server's certificate: agents and other Go clients reject it, and so does --strict-server-names; issue it with a subject alternative name`,
    ];
  }
  const names = leaf.alternativeNames.length === 0 ? 'no name' : leaf.alternativeNames.slice(0, SHOWN_NAMES).join(', ');
  const remedy =
    'use one of these as the endpoint (set its address with cilium-host-aliases), or add the name to the certificate';
  return [`${host} is not in the certificate of the server, which is for ${names}; ${remedy}`];
}
