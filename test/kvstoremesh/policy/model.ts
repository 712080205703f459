/**
 * What a rule imports, as a plain function of everything that a remote has: over decoded JSON, with expressions for patterns and
 * another library for addresses.
 */
import { zstdCompressSync } from 'node:zlib';
import ipaddr from 'ipaddr.js';

export const KINDS = ['nodes', 'identities', 'endpoints', 'services', 'endpointslices', 'serviceexports'] as const;
export type Kind = (typeof KINDS)[number];

/** As in the file, of one cluster. */
export interface RuleText {
  readonly kinds?: readonly Kind[];
  readonly namespaces?: { readonly allow?: readonly string[]; readonly deny?: readonly string[] };
  readonly podCIDRs?: readonly string[];
  readonly nodeCIDRs?: readonly string[];
  readonly quota?: { readonly keys?: number; readonly bytes?: string; readonly changesPerSecond?: number };
}

/** What a remote has of one kind: values by the names of their keys. */
export type Keys = ReadonlyMap<string, string>;
export type Store = Readonly<Record<Kind, Keys>>;

/** The names and values that are imported. */
export function imported(store: Store, rule: RuleText | undefined): Readonly<Record<Kind, Readonly<Record<string, string>>>> {
  const filtered = KINDS.map((kind) => [kind, filteredKind(store, kind, rule)] as const);
  return Object.fromEntries(filtered) as unknown as Readonly<Record<Kind, Readonly<Record<string, string>>>>;
}

function filteredKind(store: Store, kind: Kind, rule: RuleText | undefined): Record<string, string> {
  const entries = [...store[kind]];
  if (rule === undefined) return Object.fromEntries(entries);
  if (rule.kinds !== undefined && !rule.kinds.includes(kind)) return {};
  const passed = entries.filter(([own, value]) => passes(kind, own, value, rule));
  const isFollowing = kind === 'identities' && isRestricted(rule) && (rule.kinds?.includes('endpoints') ?? true);
  if (!isFollowing) return Object.fromEntries(passed);
  const used = new Set(Object.values(filteredKind(store, 'endpoints', rule)).map((value) => String(member(parsed(value), 'ID'))));
  return Object.fromEntries(passed.filter(([own]) => Number(own) >= 256 && used.has(own)));
}

function isRestricted({ namespaces, podCIDRs, nodeCIDRs }: RuleText): boolean {
  return namespaces !== undefined || podCIDRs !== undefined || nodeCIDRs !== undefined;
}

function passes(kind: Kind, own: string, value: string, rule: RuleText): boolean {
  const { podCIDRs: pods, nodeCIDRs: nodes } = rule;
  switch (kind) {
    case 'nodes':
      return (pods === undefined && nodes === undefined) || nodePasses(parsed(value), rule);
    case 'identities':
      return namespacePasses(/(?:^|;)k8s:io\.kubernetes\.pod\.namespace=([^;]*)/.exec(value)?.[1] ?? '', rule);
    case 'endpoints': {
      if (!isRestricted(rule)) return true;
      const entry = parsed(value);
      const identity = member(entry, 'ID') ?? 0;
      if (entry === undefined || typeof identity !== 'number') return false;
      const addresses = [own, member(entry, 'IP') || own];
      const host = member(entry, 'HostIP') || undefined;
      return (
        namespacePasses(member(entry, 'K8sNamespace') ?? '', rule) &&
        (pods === undefined || addresses.every((address) => isInside(address, pods))) &&
        (nodes === undefined || host === undefined || isInside(host, nodes))
      );
    }
    case 'services':
      return (
        namespacePasses(own.split('/')[0], rule) &&
        backendsPass(Object.keys(member(parsed(value), 'backends') ?? {}), parsed(value), rule)
      );
    case 'endpointslices':
      return namespacePasses(own.split('/')[0], rule) && (pods === undefined || slicePasses(value, rule));
    case 'serviceexports':
      return namespacePasses(own.split('/')[0], rule);
  }
}

function nodePasses(node: Members | undefined, { podCIDRs: pods, nodeCIDRs: nodes }: RuleText): boolean {
  if (node === undefined) return false;
  const all = member(node, 'IPAddresses') ?? [];
  if (!Array.isArray(all)) return false;
  // A text without characters is no address.
  const addresses = (all as { Type: string; IP: string }[]).filter(({ IP }) => IP !== '');
  const ofPods = addresses.filter(({ Type }) => Type === 'CiliumInternalIP').map(({ IP }) => IP);
  const ofNodes = addresses.filter(({ Type }) => Type !== 'CiliumInternalIP').map(({ IP }) => IP);
  const further = ['IPv4HealthIP', 'IPv6HealthIP', 'IPv4IngressIP', 'IPv6IngressIP'].flatMap((name) => member(node, name) || []);
  const cidr = member(node, 'IPv4AllocCIDR') as { IP: string; Mask: string } | undefined;
  const ends = cidr === undefined || cidr === null ? [] : bothEnds(cidr);
  return (
    (pods === undefined || [...ofPods, ...further, ...ends].every((address) => isInside(address, pods))) &&
    (nodes === undefined || ofNodes.every((address) => isInside(address, nodes)))
  );
}

/** The first and the last address of an IPv4 prefix. */
function bothEnds({ IP, Mask }: { readonly IP: string; readonly Mask: string }): string[] {
  const mask = [...Buffer.from(Mask, 'base64')];
  const bytes = IP.split('.').map(Number);
  return [bytes.map((byte, i) => byte & (mask[i] ?? 0)), bytes.map((byte, i) => byte | (255 - (mask[i] ?? 0)))].map((all) =>
    all.join('.'),
  );
}

function backendsPass(
  addresses: readonly string[],
  service: Members | undefined,
  { podCIDRs, nodeCIDRs = [] }: RuleText,
): boolean {
  if (podCIDRs === undefined) return true;
  if (Array.isArray(member(service, 'backends'))) return false;
  return service !== undefined && addresses.every((address) => isInside(address, [...podCIDRs, ...nodeCIDRs]));
}

const SLICES = new Map<string, readonly string[]>();

/** The value of an endpoint slice with these addresses, one character per byte. */
export function slice(addresses: readonly string[]): string {
  const field = (number: number, content: Buffer) => Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
  const endpoints = addresses.map((address) => field(8, field(1, Buffer.from(address))));
  const value = zstdCompressSync(Buffer.concat([field(1, Buffer.from('berlin')), ...endpoints])).toString('latin1');
  SLICES.set(value, addresses);
  return value;
}

function slicePasses(value: string, rule: RuleText): boolean {
  const addresses = SLICES.get(value);
  return addresses !== undefined && backendsPass(addresses, {}, rule);
}

function namespacePasses(namespace: unknown, { namespaces }: RuleText): boolean {
  if (namespaces === undefined) return true;
  if (typeof namespace !== 'string' || !/^[\x20-\x7e]{0,63}$/.test(namespace)) return false;
  const matches = (glob: string) => new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(namespace);
  return (namespaces.allow?.some(matches) ?? true) && !(namespaces.deny?.some(matches) ?? false);
}

function isInside(address: unknown, cidrs: readonly string[]): boolean {
  if (typeof address !== 'string' || !ipaddr.isValid(address)) return false;
  const found = ipaddr.process(address);
  return cidrs.some((text) => {
    const [network, length] = ipaddr.parseCIDR(text);
    return network.kind() === found.kind() && found.match([network, length] as never);
  });
}

type Members = Readonly<Record<string, unknown>>;

function parsed(value: string): Members | undefined {
  try {
    const content: unknown = JSON.parse(value);
    return typeof content === 'object' && content !== null && !Array.isArray(content) ? (content as Members) : undefined;
  } catch {
    return undefined;
  }
}

/** As Go finds it: in any letter case. */
function member(members: Members | undefined, name: string): unknown {
  return Object.entries(members ?? {}).find(([found]) => found.toLowerCase() === name.toLowerCase())?.[1];
}
