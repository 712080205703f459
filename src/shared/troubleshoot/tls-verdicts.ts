/** What is wrong with a TLS connection, and what to do about it. */
import { type Problem, problem } from '../diagnosis/pod-checks.ts';
import type { Certificate } from '../tls/certificate.ts';
import { nameVerdict } from '../tls/server-name.ts';
import { allowsUsages, CLIENT_USAGE, SERVER_USAGE } from '../tls/usage.ts';
import type { ClientCertificates, ConfigFindings, EndpointFindings, Failure, TlsFindings } from './findings.ts';
import { isFailure } from './findings.ts';
import { DEADLINE } from './go-errors.ts';

type Usable = Extract<ConfigFindings, { kind: 'usable' }>;

/** Alerts about the client's certificate (RFC 8446, section 6.2). */
const CERTIFICATE_ALERTS = [42, 43, 44, 45, 46, 48, 49, 116];
const CERTIFICATE_REQUIRED = 116;

const NO_TLS = problem('tls-mismatch', 'the server does not use TLS', 'check the port, or use http if it serves plain text');

const SHOWN_NAMES = 20;
/** A fingerprint has a hundred characters. */
const SHOWN_AUTHORITIES = 4;

/** In the order in which they would have to be solved. */
export function tlsVerdicts(
  endpoint: EndpointFindings,
  tls: TlsFindings | Failure,
  config: Usable,
  nowMs: number,
): readonly Problem[] {
  if (endpoint.speaks === 'plain') return [NO_TLS];
  if (isFailure(tls)) return [handshakeVerdict(tls, config.client)];
  const { mistrust, answer } = tls;
  const isVerified = config.config.skipVerify !== true;
  return [
    ...(mistrust === undefined || !isVerified ? [] : [mistrustVerdict(tls, mistrust, config, nowMs)]),
    ...(isVerified ? nameProblem(endpoint, tls) : []),
    ...(answer?.kind === 'failed' ? [handshakeVerdict(answer.failure, config.client)] : []),
    ...(answer?.kind === 'unknown' ? [problem('not-etcd', 'the server is not etcd', 'check the address and the port')] : []),
  ];
}

function handshakeVerdict({ alert, code, text }: Failure, client: ClientCertificates | undefined): Problem {
  if (alert !== undefined && CERTIFICATE_ALERTS.includes(alert)) return refusedVerdict(alert, text, client);
  if (text.includes('first record')) return NO_TLS;
  if (code === DEADLINE) {
    return problem(
      'tls-handshake',
      'the server accepts connections but sends nothing',
      'check the proxies and load balancers in between, and their backends',
    );
  }
  if (code === 'EOF' || code === 'ECONNRESET') {
    return problem(
      'tls-handshake',
      'the server closes the connection during the TLS handshake',
      'check the port, whether it serves plain text (http), and the proxies in between',
    );
  }
  const remedy = 'check the port, and the versions of TLS that the server allows';
  return problem('tls-handshake', `the TLS handshake failed: ${text}`, remedy);
}

function refusedVerdict(alert: number, text: string, client: ClientCertificates | undefined): Problem {
  const refused = (evidence: string, remedy: string) => problem('tls-client', evidence, remedy);
  if (client === undefined)
    return refused('the server requires a client certificate and the file has none', 'add cert-file and key-file');
  const [leaf] = client.chain;
  const whose = `the client certificate ${leaf.subject}, issued by ${leaf.issuer}`;
  if (alert === CERTIFICATE_REQUIRED) {
    return refused(
      `the server reports that it received no client certificate, although one is configured: ${whose}`,
      'check the proxies in between',
    );
  }
  if (!allowsUsages(leaf, [CLIENT_USAGE])) {
    const evidence = `the server rejects ${whose} (${text}): its key usages do not allow TLS client authentication`;
    return refused(evidence, 'issue it with the extended key usage clientAuth');
  }
  const mistrust = client.mistrust === undefined ? '' : '; it was not issued by the configured CA either';
  return refused(
    `the server rejects ${whose} (${text})${mistrust}`,
    'use a certificate issued by a CA that the server trusts (its --trusted-ca-file)',
  );
}

function mistrustVerdict({ certificates }: TlsFindings, { code }: Failure, config: Usable, nowMs: number): Problem {
  const [leaf] = certificates;
  if (code === 'CERT_HAS_EXPIRED') return timeVerdict('tls-expired', certificates, nowMs);
  if (code === 'CERT_NOT_YET_VALID') return timeVerdict('tls-not-yet-valid', certificates, nowMs);
  if (code === 'INVALID_PURPOSE' || (leaf !== undefined && !allowsUsages(leaf, [SERVER_USAGE]))) {
    const evidence = `the key usages of the certificate ${leaf?.subject ?? ''} of the server do not allow TLS server authentication`;
    return problem('tls-usage', evidence, 'issue it with the extended key usage serverAuth');
  }
  const issuer = certificates.at(-1);
  const from = issuer === undefined ? 'an unknown issuer' : `${issuer.issuer}${keyId(issuer.authorityKeyId)}`;
  const authorities = config.authorities?.certificates;
  const trusted = authorities?.slice(0, SHOWN_NAMES).map(({ subject, subjectKeyId }) => `${subject}${keyId(subjectKeyId)}`);
  const known = trusted === undefined ? "the system's CAs" : trusted.join(', ');
  return problem(
    'tls-ca',
    `the certificate of the server was issued by ${from}, trusted is ${known}${fingerprints(issuer, authorities)}`,
    'add the CA of that cluster to trusted-ca-file',
  );
}

function timeVerdict(check: 'tls-expired' | 'tls-not-yet-valid', certificates: readonly Certificate[], nowMs: number): Problem {
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
  const other = certificates.find(({ notAfterMs, notBeforeMs }) => notAfterMs < nowMs || notBeforeMs > nowMs) ?? certificates[0];
  const what = other === undefined ? 'the certificate of the server' : `the certificate ${other.subject} of the server`;
  const when = other === undefined ? '' : `: it is valid from ${day(other.notBeforeMs)} to ${day(other.notAfterMs)} UTC`;
  if (check === 'tls-expired') return problem(check, `${what} has expired${when}`, 'renew it, or check the clocks');
  const ahead = other === undefined ? '' : `, and this clock is ${Math.ceil((other.notBeforeMs - nowMs) / 1000)} s before that`;
  return problem(check, `${what} is not valid yet${when}${ahead}`, 'check the clocks, or renew it');
}

/** CAs of one name are distinguished by their keys. */
function keyId(id: string | undefined): string {
  return id === undefined ? '' : ` (key ${id})`;
}

/** Of the last certificate that the server sent, which is its CA or has it as its issuer, and of the trusted ones. */
function fingerprints(presented: Certificate | undefined, trusted: readonly Certificate[] | undefined): string {
  if (presented === undefined || trusted === undefined) return '';
  const what = presented.issuer === presented.subject ? 'that CA' : 'the certificate';
  const known = trusted.slice(0, SHOWN_AUTHORITIES).map(({ x509 }) => x509.fingerprint256);
  return `; SHA-256 of ${what} ${presented.x509.fingerprint256}, of the trusted ${known.join(', ')}`;
}

function nameProblem({ host }: EndpointFindings, { certificates: [leaf] }: TlsFindings): readonly Problem[] {
  const verdict = leaf === undefined ? 'covered' : nameVerdict(leaf, host);
  if (leaf === undefined || verdict === 'covered') return [];
  if (verdict === 'legacy') {
    return [
      problem(
        'tls-name',
        `${host} is only the common name of the server's certificate: agents and other Go clients reject it, and so does --strict-server-names`,
        'issue it with a subject alternative name',
      ),
    ];
  }
  const names = leaf.alternativeNames.length === 0 ? 'no name' : leaf.alternativeNames.slice(0, SHOWN_NAMES).join(', ');
  const remedy =
    'use one of these as the endpoint (set its address with cilium-host-aliases), or add the name to the certificate';
  return [problem('tls-name', `${host} is not in the certificate of the server, which is for ${names}`, remedy)];
}
