/**
 * What was found of one etcd → the block that the original's troubleshoot command prints, line by line.
 */
import { MAX_STATUS_TEXT_LENGTH } from '../limits.ts';
import { printable } from '../printable.ts';
import { type Certificate, goTime } from '../tls/certificate.ts';
import { type ConfigFindings, type EndpointFindings, type EtcdFindings, isFailure, type TlsFindings } from './findings.ts';

/** How many addresses of a name are shown. */
const SHOWN_ADDRESSES = 4;

/** The lines below the title; an empty one separates the sections. */
export function reportLines({ path, config, endpoints, client }: EtcdFindings): readonly string[] {
  if (config.kind === 'unparsable') return shown([`❌ Could not parse Cilium config: ${config.text}`]);
  const location = `📄 Configuration path: ${path}`;
  if (config.kind === 'unusable') return shown([location, `❌ Cannot parse etcd configuration: ${config.text}`]);
  return shown([
    location,
    '',
    ...(endpoints.length === 0 ? ['❌ No available endpoints'] : ['🔌 Endpoints:', ...endpoints.flatMap(endpointLines)]),
    '',
    '🔑 Digital certificates:',
    ...indented(3, certificateLines(config)),
    '',
    '⚙️ Etcd client:',
    ...indented(3, clientLines(client)),
  ]);
}

function endpointLines(endpoint: EndpointFindings): readonly string[] {
  return [`   - ${endpoint.url}`, ...indented(5, [...dialLines(endpoint), ...tlsLines(endpoint)])];
}

function dialLines({ resolved, tcp, address }: EndpointFindings): readonly string[] {
  const name =
    resolved === undefined
      ? []
      : [isFailure(resolved) ? `❌ Cannot resolve hostname: ${resolved.text}` : `✅ Hostname resolved to: ${list(resolved)}`];
  return [
    ...name,
    tcp.failed
      ? `❌ Cannot establish TCP connection to ${address}: ${tcp.text}`
      : `✅ TCP connection successfully established to ${tcp.remote}`,
  ];
}

function list(addresses: readonly string[]): string {
  return [...addresses.slice(0, SHOWN_ADDRESSES), ...(addresses.length > SHOWN_ADDRESSES ? ['...'] : [])].join(', ');
}

function tlsLines({ tls, tcp, address }: EndpointFindings): readonly string[] {
  if (tls === undefined || tcp.failed) return [];
  const failure = isFailure(tls) ? tls : tls.mistrust;
  if (isFailure(tls) || failure !== undefined) {
    const verification = isFailure(tls) ? '' : 'tls: failed to verify certificate: ';
    return [`❌ Cannot establish TLS connection to ${address}: ${verification}${failure?.text ?? ''}`];
  }
  return [
    `✅ TLS connection successfully established to ${tcp.remote}`,
    `ℹ️  Negotiated TLS version: ${tls.version}, ciphersuite ${tls.cipher}`,
    ...(tls.certificates.length === 0 ? [] : ['ℹ️  TLS certificates presented by the server:']),
    ...indented(3, tls.certificates.flatMap(certificateText)),
    ...versionLines(tls),
  ];
}

function versionLines({ answer }: TlsFindings): readonly string[] {
  if (answer === undefined) return [];
  if (answer.kind === 'version') return [`ℹ️  Etcd server version: ${answer.version}`];
  if (answer.kind === 'unknown') return ['⚠️ Could not retrieve etcd server version'];
  const { alert, text } = answer.failure;
  return [
    alert === undefined ? `❌ Failed to retrieve GET /version answer: ${text}` : `❌ TLS client authentication failed: ${text}`,
  ];
}

function certificateLines({ authorities, client }: Extract<ConfigFindings, { kind: 'usable' }>): readonly string[] {
  const roots =
    authorities === undefined
      ? ['⚠️ Root CA unset: using system pool']
      : ['✅ TLS Root CA certificates:', ...indented(3, authorities.certificates.flatMap(certificateText))];
  if (client === undefined) return [...roots, '⚠️ No available TLS client certificates'];
  const [leaf, ...intermediates] = client.chain;
  return [
    ...roots,
    '✅ TLS client certificates:',
    ...indented(3, certificateText(leaf)),
    ...intermediates.flatMap((each) => indented(5, ['Intermediates:', ...certificateText(each)])),
    ...(client.mistrust === undefined
      ? []
      : [`       ⚠️ Cannot verify certificate with the configured root CAs: ${client.mistrust}`]),
  ];
}

function certificateText(certificate: Certificate): readonly string[] {
  const { serialNumber, subject, alternativeNames, subjectKeyId, issuer, authorityKeyId, notBeforeMs, notAfterMs } = certificate;
  return [
    `- Serial number:       ${serialNumber}`,
    `  Subject:             ${subject}`,
    ...(alternativeNames.length === 0 ? [] : ['  Subject alternative names:', ...alternativeNames.map((name) => `  - ${name}`)]),
    ...(subjectKeyId === undefined ? [] : [`  Subject key ID:      ${subjectKeyId}`]),
    `  Issuer:              ${issuer}`,
    ...(authorityKeyId === undefined ? [] : [`  Authority key ID:    ${authorityKeyId}`]),
    '  Validity:',
    `    Not before:  ${goTime(notBeforeMs)}`,
    `    Not after:   ${goTime(notAfterMs)}`,
  ];
}

function clientLines(client: EtcdFindings['client']): readonly string[] {
  switch (client?.kind) {
    case undefined:
      return ['❌ Failed to create etcd client: etcdclient: no available endpoints'];
    case 'created-not':
      return [`❌ Failed to create etcd client: ${client.error.message}`];
    case 'unreachable':
      // The original's client retries until its timeout; the verdict has the cause.
      return ['❌ Failed to establish connection: context deadline exceeded'];
    case 'refused':
      return [`❌ Failed to retrieve key from etcd: ${client.error.message}`];
    case 'connected':
      return ['✅ Etcd connection successfully established', `ℹ️  Etcd cluster ID: ${client.clusterId}`];
  }
}

function indented(width: number, lines: readonly string[]): readonly string[] {
  return lines.map((line) => `${' '.repeat(width)}${line}`);
}

/** Texts of certificates and servers are a stranger's. */
function shown(lines: readonly string[]): readonly string[] {
  return lines.map((line) => printable(line, MAX_STATUS_TEXT_LENGTH));
}
