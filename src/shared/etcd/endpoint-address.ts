/**
 * Endpoint URLs, as accepted by etcd's own clients: `https://host:2379`, `http://…`, or `host:2379`.
 *
 * Without a scheme TLS is used, unless the configuration has `insecure-transport`. Anything after the port is ignored, and
 * so is a user name before the host. One endpoint has one URL here, in whatever form it was configured.
 */
import { isIP } from 'node:net';
import { EtcdConfigError } from './errors.ts';

export interface EndpointAddress {
  /** With scheme, host and port. */
  readonly url: string;
  readonly secure: boolean;
  /** Whether the scheme was written; else `secure` is the default. */
  readonly hasScheme: boolean;
  /**
   * A name in lower case, or an IP address without brackets, in its shortest form and with its zone. The dot at the end of an absolute name stays, for
   * DNS: see `serverNameOf` for TLS.
   */
  readonly host: string;
  readonly port: number;
}

export const ENDPOINT_FORM = 'a URL with host and port, such as https://cluster.example:2379';

/** Characters of an endpoint URL. */
const MAX_ENDPOINT_LENGTH = 1_000;

const SCHEME = /^(https?):\/\//i;
const AUTHORITY = /^(?:\[(?<ipv6>[^[\]]+)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>\d{1,5})$/;

/** Throws EtcdConfigError where `text` is no endpoint. */
export function parseEndpoint(text: string, isInsecure = false): EndpointAddress {
  const given = text.trim();
  const scheme = SCHEME.exec(given);
  const rest = scheme === null ? given : (given.slice(scheme[0].length).split(/[/?#]/, 1)[0] ?? '');
  const authority = scheme === null ? rest.replace(/\/$/, '') : rest.slice(rest.lastIndexOf('@') + 1);
  const groups = given.length > MAX_ENDPOINT_LENGTH ? undefined : AUTHORITY.exec(authority)?.groups;
  const host = groups?.ipv6 === undefined ? (groups?.name ?? '').toLowerCase() : ipv6Of(groups.ipv6);
  const port = Number(groups?.port);
  if (host === undefined || !/[a-z0-9]/.test(host) || !(port >= 1 && port <= 65_535)) {
    throw new EtcdConfigError(
      `${JSON.stringify(withoutUser(given).slice(0, 200))} is not an endpoint; allowed: ${ENDPOINT_FORM}`,
    );
  }
  const secure = scheme === null ? !isInsecure : scheme[1]?.toLowerCase() === 'https';
  const url = `${secure ? 'https' : 'http'}://${hostPort(host, port)}`;
  return { url, secure, hasScheme: scheme !== null, host, port };
}

/** `host:port`, an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The form of a host in which two spellings of one are equal: lower case, without the dot at the end of an absolute name. */
export function hostKey(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}

/** In a URL the percent sign before a zone is escaped; the plain form is accepted too. */
function ipv6Of(text: string): string | undefined {
  const [address = '', ...zones] = text.split(/%25|%/);
  if (isIP(address) !== 6 || zones.length > 1 || !/^[A-Za-z0-9._~-]*$/.test(zones[0] ?? '')) return undefined;
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1);
  return zones[0] ? `${shortest}%${zones[0]}` : shortest;
}

/** A password may precede the host; no message shows it. */
function withoutUser(text: string): string {
  return text.replace(/^([^/@]*:\/\/)?[^/]*@/, '$1…@');
}
