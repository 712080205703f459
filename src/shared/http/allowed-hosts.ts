/**
 * The host names to which the status servers respond.
 *
 * A web page may point a domain of its own to an address of this machine (DNS rebinding): the
 * browser then allows the page to read the responses. The request has that domain in `Host`. So only names are
 * accepted that cannot be registered: addresses, names without a dot, names below domains outside of the public DNS, and
 * those of this cluster, of this Pod and of `--allowed-hosts`.
 */
import { open } from 'node:fs/promises';
import { isIP } from 'node:net';
import { MAX_RESOLV_CONF_BYTES } from '../limits.ts';

export interface HostNames {
  /** Of this machine or Pod. */
  readonly hostname: string;
  /** The search domains of the resolver: a Pod has `<namespace>.svc.<domain>`, `svc.<domain>` and `<domain>`. */
  readonly searchDomains: readonly string[];
  /** What the operator adds; `*` for any name. */
  readonly added: readonly string[];
}

/** Never in the public DNS: RFC 6761, RFC 6762, RFC 8375, and ICANN's resolution on `internal`. `svc` is no top-level domain. */
const PRIVATE_DOMAINS = ['localhost', 'local', 'internal', 'home.arpa', 'svc'];

/** A last label that is no top-level domain: those have letters only, or start with `xn--`. `kube-system` is an example. */
function isNoTopLevelDomain(label: string): boolean {
  return /^[a-z0-9_-]+$/.test(label) && /[0-9_-]/.test(label) && !label.startsWith('xn--');
}

/** Characters of a host name, by RFC 1035, and of a port. */
const MAX_HOST_LENGTH = 253 + 6;

/** Whether a request with this `Host` header is accepted. A client without one is no browser. */
export function allowedHosts({ hostname, searchDomains, added }: HostNames): (host: string | undefined) => boolean {
  const own = hostname.toLowerCase();
  const domains = searchDomains.map((domain) => normal(domain));
  const names = new Set([own, ...domains.map((domain) => `${own}.${domain}`), ...added.map(normal)]);
  const suffixes = [...PRIVATE_DOMAINS, ...domains.flatMap(clusterDomains)].map((domain) => `.${domain}`);
  const isAny = names.has('*');
  return (host) => {
    if (isAny || host === undefined || host === '') return true;
    if (host.length > MAX_HOST_LENGTH) return false;
    const name = normal(host.replace(/:\d*$/, ''));
    if (isAddress(name) || !name.includes('.') || names.has(name)) return true;
    return suffixes.some((suffix) => name.endsWith(suffix)) || isNoTopLevelDomain(name.slice(name.lastIndexOf('.') + 1));
  };
}

/** The search domains of this machine or Pod; none where they cannot be read. */
export async function readSearchDomains(): Promise<readonly string[]> {
  try {
    await using file = await open('/etc/resolv.conf');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_RESOLV_CONF_BYTES));
    return searchDomainsOf(buffer.toString('utf8', 0, bytesRead));
  } catch {
    return [];
  }
}

/** The search domains that the text of a resolv.conf names; the last line of them counts. */
export function searchDomainsOf(resolvConf: string): readonly string[] {
  const lines = resolvConf.split('\n').filter((line) => /^search\s/.test(line));
  return lines.at(-1)?.trim().split(/\s+/).slice(1) ?? [];
}

/** The domains of Services and Pods for a search domain of a Pod, and its namespace: Services are called `<name>.<namespace>` too. */
function clusterDomains(search: string): string[] {
  const match = /^(?:([^.]+)\.)?svc\.(.+)$/.exec(search);
  if (match === null) return [];
  const [, namespace, domain = ''] = match;
  return [`svc.${domain}`, `pod.${domain}`, ...(namespace === undefined ? [] : [namespace])];
}

function normal(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function isAddress(name: string): boolean {
  return isIP(name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name) !== 0;
}
