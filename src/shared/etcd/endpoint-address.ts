/**
 * Endpoint URLs, as etcd's own clients take them: `https://host:2379`, `http://…`, or `host:2379`.
 *
 * Without a scheme TLS is used, unless the configuration says `insecure-transport`.
 */
import { isIP } from 'node:net';
import { EtcdConfigError } from './errors.ts';

export interface EndpointAddress {
  /** With scheme, host and port. */
  readonly url: string;
  readonly secure: boolean;
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export const ENDPOINT_FORM = 'a URL with host and port, such as https://cluster.example:2379';

const ENDPOINT = /^(?:(?<scheme>https?):\/\/)?(?:\[(?<ipv6>[0-9a-fA-F:.]+)\]|(?<name>[A-Za-z0-9._-]+)):(?<port>\d{1,5})\/?$/;

/** Throws EtcdConfigError where `text` is no endpoint. */
export function parseEndpoint(text: string, isInsecure = false): EndpointAddress {
  const groups = ENDPOINT.exec(text)?.groups;
  const host = groups?.ipv6 ?? groups?.name ?? '';
  const port = Number(groups?.port);
  const isValid = groups?.ipv6 === undefined ? host !== '' : isIP(host) === 6;
  if (!isValid || !(port >= 1 && port <= 65_535)) {
    throw new EtcdConfigError(`${JSON.stringify(text.slice(0, 200))} is no endpoint; allowed: ${ENDPOINT_FORM}`);
  }
  const secure = groups?.scheme === undefined ? !isInsecure : groups.scheme === 'https';
  return { url: `${secure ? 'https' : 'http'}://${hostPort(host, port)}`, secure, host, port };
}

/** `host:port`, an IPv6 address in brackets. */
export function hostPort(host: string, port: number): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
