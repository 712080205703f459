/**
 * Names of servers by the rules of Go's crypto/tls and crypto/x509, which the original uses.
 */
import { isIP } from 'node:net';
import { addressKey } from './address.ts';
import type { Certificate } from './certificate.ts';

/** The name that TLS sends for `host` (RFC 6066): none for an address, and without the dot of an absolute name. */
export function serverNameOf(host: string): string | undefined {
  return isIP(host) === 0 ? host.replace(/\.$/, '') : undefined;
}

/** Whether a certificate is for a host: `legacy` if only its common name matches, which Go programs reject. */
export type NameVerdict = 'covered' | 'legacy' | 'other';

/** `host` is a name, with or without a dot at its end, or an address without brackets; a zone plays no part. */
export function nameVerdict(certificate: Certificate, host: string): NameVerdict {
  const { dnsNames, addresses, hasAlternativeNames, commonName } = certificate;
  if (isIP(host) !== 0) return addresses.includes(addressKey(host)) ? 'covered' : 'other';
  if (dnsNames.some((pattern) => matches(pattern, host))) return 'covered';
  const isLegacy = !hasAlternativeNames && commonName !== undefined && isHostName(commonName, true) && matches(commonName, host);
  return isLegacy ? 'legacy' : 'other';
}

/** A wildcard matches the whole first label and nothing else. Names that are no host names match only themselves. */
function matches(pattern: string, host: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), host.toLowerCase()];
  if (!isHostName(pattern, true) || !isHostName(host, false)) return given !== '' && given !== '.' && wanted === given;
  const patternLabels = wanted.split('.');
  const labels = given.replace(/\.$/, '').split('.');
  return (
    patternLabels.length === labels.length &&
    patternLabels.every((label, index) => label === labels[index] || (index === 0 && label === '*'))
  );
}

function isHostName(name: string, isPattern: boolean): boolean {
  const bare = isPattern ? name : name.replace(/\.$/, '');
  if (bare === '' || bare === '*' || bare.length > 1_000) return false;
  return bare
    .split('.')
    .every((label, index) => (isPattern && index === 0 && label === '*') || /^[a-z0-9_][a-z0-9_-]*$/i.test(label));
}
