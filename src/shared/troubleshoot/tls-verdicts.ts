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
    ...(answer?.kind === 'unknown' ? ['what answers is no etcd; check the address and the port'] : []),
  ];
}

function handshakeVerdict({ alert, code, text }: Failure, client: ClientCertificates | undefined): string {
  if (alert !== undefined && CERTIFICATE_ALERTS.includes(alert)) return refusedVerdict(alert, text, client);
  if (text.includes('first record')) return 'it answers, but not with TLS; check the port, or write http if it serves plain text';
  if (code === DEADLINE)
    return 'it accepts connections and then says nothing; check which proxy or load balancer stands there, and whether its backends are well';
  if (code === 'EOF' || code === 'ECONNRESET') {
    return 'it closes the connection in the middle of TLS; check the port, whether it serves plain text (http), and which proxy stands there';
  }
  return `the TLS handshake failed: ${text}; check the port, and the versions of TLS that the server allows`;
}

function refusedVerdict(alert: number, text: string, client: ClientCertificates | undefined): string {
  if (client === undefined) return 'the server wants a client certificate and the file names none; add cert-file and key-file';
  const [leaf] = client.chain;
  const whose = `the client certificate ${leaf.subject}, issued by ${leaf.issuer}`;
  if (alert === CERTIFICATE_REQUIRED) return `the server says that it got no client certificate, though there is one: ${whose}`;
  const mistrust = client.mistrust === undefined ? '' : '; the configured authorities did not issue it either';
  return `the server refuses ${whose} (${text})${mistrust}; use a certificate of an authority that the server trusts (its --trusted-ca-file)`;
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
  const known = trusted === undefined ? "the system's authorities" : trusted.slice(0, SHOWN_NAMES).join(', ');
  return `the certificate of the server is of ${from}, trusted is ${known}; add the authority of that cluster to trusted-ca-file`;
}

/** Authorities of one name are told apart by their keys. */
function keyId(id: string | undefined): string {
  return id === undefined ? '' : ` (key ${id})`;
}

function nameProblem({ host }: EndpointFindings, { certificates: [leaf] }: TlsFindings): readonly string[] {
  const verdict = leaf === undefined ? 'covered' : nameVerdict(leaf, host);
  if (leaf === undefined || verdict === 'covered') return [];
  if (verdict === 'legacy') {
    return [
      `${host} is the common name of the server's certificate and no alternative name of it: agents and other Go programs refuse it, and so does --strict-server-names; issue it with a subject alternative name`,
    ];
  }
  const names = leaf.alternativeNames.length === 0 ? 'no name at all' : leaf.alternativeNames.slice(0, SHOWN_NAMES).join(', ');
  const remedy = 'use one of these as the endpoint (cilium-host-aliases give it an address), or add the name to the certificate';
  return [`${host} is not in the certificate of the server, which is for ${names}; ${remedy}`];
}
