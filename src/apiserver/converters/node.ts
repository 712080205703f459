/**
 * CiliumNode → one key below `cilium/state/nodes/v1/<cluster>/`.
 *
 * The value is a Go struct without omitted fields: `null` for absent lists, maps and networks, an empty
 * string for absent addresses. Annotations are not filtered.
 */
import type { CiliumNode, GoMap } from '../../shared/kubernetes/objects/types.ts';
import { annotationOf, WIREGUARD_PUBLIC_KEY } from '../annotations.ts';
import { JSON_NULL, type Json, jsonInteger, jsonList, jsonStruct, jsonText, jsonTextMap } from '../encoding/go-json.ts';
import { canonicalAddress, type Network, parseNetwork } from '../encoding/ip.ts';
import { type Cluster, nodeKey } from '../encoding/keyspace.ts';
import { type Conversion, lowBits, quoted } from './conversion.ts';

type NodeIpam = NonNullable<CiliumNode['spec']>['ipam'];

/** Address types that are names: not being addresses is no fault of theirs. */
const NAME_TYPES: ReadonlySet<string> = new Set(['Hostname', 'InternalDNS', 'ExternalDNS']);

/** What `node` exports: always one entry. Addresses and networks that can't be parsed are left out, the rest stays. */
export function convertNode(cluster: Cluster, node: CiliumNode): Conversion {
  const { metadata, spec = {} } = node;
  const rejected: string[] = [];
  const networks = podNetworks(spec.ipam, rejected);
  const ipv4 = networks.filter((network) => network.family === 'IPv4');
  const ipv6 = networks.filter((network) => network.family === 'IPv6');
  const address = (field: string, text = '') => jsonText(addressOrNone(field, text, rejected));
  const value = jsonStruct({
    Name: jsonText(metadata.name),
    Cluster: jsonText(cluster.name),
    IPAddresses: listOrNull(addressList(node, rejected)),
    IPv4AllocCIDR: networkOrNull(ipv4[0]),
    IPv4SecondaryAllocCIDRs: listOrNull(ipv4.slice(1).map(networkJson)),
    IPv6AllocCIDR: networkOrNull(ipv6[0]),
    IPv6SecondaryAllocCIDRs: listOrNull(ipv6.slice(1).map(networkJson)),
    IPv4HealthIP: address('spec.health.ipv4', spec.health?.ipv4),
    IPv6HealthIP: address('spec.health.ipv6', spec.health?.ipv6),
    IPv4IngressIP: address('spec.ingress.ipv4', spec.ingress?.ipv4),
    IPv6IngressIP: address('spec.ingress.ipv6', spec.ingress?.ipv6),
    ClusterID: jsonInteger(cluster.id),
    Source: jsonText('custom-resource'),
    EncryptionKey: jsonInteger(lowBits(spec.encryption?.key ?? 0, 8)),
    Labels: mapOrNull(metadata.labels),
    Annotations: mapOrNull(metadata.annotations),
    WireguardPubKey: jsonText(annotationOf(metadata, WIREGUARD_PUBLIC_KEY) ?? ''),
    BootID: jsonText(spec.bootid ?? ''),
  });
  return { entries: [{ key: nodeKey(cluster, metadata.name), value: Buffer.from(value) }], rejected };
}

function addressList(node: CiliumNode, rejected: string[]): Json[] {
  return (node.spec?.addresses ?? []).flatMap(({ type = '', ip = '' }) => {
    const address = canonicalAddress(ip);
    if (address !== undefined) return [jsonStruct({ Type: jsonText(type), IP: jsonText(address) })];
    if (!NAME_TYPES.has(type)) rejected.push(`spec.addresses: ${quoted(ip)} is not an address`);
    return [];
  });
}

/** Those of `podCIDRs` first, then those of each pool, in order; duplicates are kept, as in upstream. */
function podNetworks(ipam: NodeIpam, rejected: string[]): Network[] {
  const networks = readNetworks('spec.ipam.podCIDRs', ipam?.podCIDRs ?? [], rejected);
  for (const { cidrs } of ipam?.pools?.allocated ?? []) {
    networks.push(...readNetworks('spec.ipam.pools.allocated', cidrs ?? [], rejected));
  }
  return networks;
}

/**
 * Upstream cannot decode a node with a malformed pod CIDR, and then receives no change of any node until it
 * is corrected. Here the network is skipped; the rest of the node and all others stay current.
 */
function readNetworks(field: string, cidrs: readonly string[], rejected: string[]): Network[] {
  return cidrs.flatMap((cidr) => {
    const network = parseNetwork(cidr);
    if (network === undefined) rejected.push(`${field}: ${quoted(cidr)} is not a network`);
    return network ?? [];
  });
}

/** The family is not checked: readers take the address from the field as it is. */
function addressOrNone(field: string, text: string, rejected: string[]): string {
  const address = canonicalAddress(text);
  if (address === undefined && text !== '') rejected.push(`${field}: ${quoted(text)} is not an address`);
  return address ?? '';
}

function networkJson(network: Network): Json {
  return jsonStruct({ IP: jsonText(network.address), Mask: jsonText(network.mask) });
}

function networkOrNull(network: Network | undefined): Json {
  return network === undefined ? JSON_NULL : networkJson(network);
}

function listOrNull(items: readonly Json[]): Json {
  return items.length === 0 ? JSON_NULL : jsonList(items);
}

function mapOrNull(map: GoMap | undefined): Json {
  return map ? jsonTextMap(map) : JSON_NULL;
}
