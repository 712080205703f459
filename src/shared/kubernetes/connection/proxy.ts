/**
 * The proxy for an API server: the rules of Go's golang.org/x/net/http/httpproxy, as in client-go.
 */
import { BlockList, isIP } from 'node:net';
import { isLoopback } from '../../tls/address.ts';
import { hostOf } from './server-url.ts';

const PROTOCOLS = ['http:', 'https:', 'socks5:', 'socks5h:'];

export type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined where `text` is no URL of a proxy. */
export function proxyUrlOf(text: string): URL | undefined {
  const url = URL.parse(text.trim());
  return url !== null && PROTOCOLS.includes(url.protocol) && url.hostname !== '' ? url : undefined;
}

/** The proxy that HTTPS_PROXY, HTTP_PROXY and NO_PROXY, in upper or else in lower case, name for `server`. */
export function proxyFromEnvironment(server: URL, environment: Environment): URL | undefined {
  const named = variable(environment, server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  // Without a scheme it is one that is spoken to in plain http.
  const proxy = proxyUrlOf(named.includes('://') ? named : `http://${named}`);
  if (proxy === undefined) return undefined;
  const host = hostOf(server).toLowerCase();
  const port = server.port || (server.protocol === 'https:' ? '443' : '80');
  if (isLoopback(host)) return undefined;
  const isDirect = variable(environment, 'NO_PROXY')
    .split(',')
    .some((entry) => covers(entry.trim().toLowerCase(), host, port));
  return isDirect ? undefined : proxy;
}

function variable(environment: Environment, name: string): string {
  return environment[name] || environment[name.toLowerCase()] || '';
}

/** An entry is `*`, an address, a range of addresses, or a name that covers what is below it; all but ranges with or without a port. */
function covers(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [range, bits] = entry.split('/');
  if (bits !== undefined && isIP(range ?? '') !== 0) return isIP(host) !== 0 && isInRange(range ?? '', bits, host);
  const { name, only } = withPort(entry);
  if (name === '' || (only !== undefined && only !== port)) return false;
  if (isIP(name) !== 0) return isIP(host) !== 0 && isInRange(name, isIP(name) === 4 ? '32' : '128', host);
  const suffix = name.startsWith('*.') ? name.slice(1) : name;
  return suffix.startsWith('.') ? host.endsWith(suffix) : host === suffix || host.endsWith(`.${suffix}`);
}

function withPort(entry: string): { readonly name: string; readonly only: string | undefined } {
  if (isIP(entry) !== 0) return { name: entry, only: undefined };
  const groups = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry);
  return { name: groups?.[1] ?? groups?.[2] ?? '', only: groups?.[3] };
}

function isInRange(range: string, bits: string, host: string): boolean {
  const family = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
  const list = new BlockList();
  const length = /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
  if (!(length <= (isIP(range) === 6 ? 128 : 32))) return false;
  list.addSubnet(range, length, family(range));
  return list.check(host, family(host));
}
