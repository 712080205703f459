/**
 * EndpointSlices of a service → its backends, one per address.
 *
 * Several endpoints may have one address: a custom Endpoints of two subsets becomes two slices with different ports, two Pods of the
 * host network share their node's address during a replacement, and an endpoint that moves between slices is in both
 * for a moment. Kubernetes requires consumers to merge all slices of a service; upstream uses the last one with
 * the address, even if it serves no traffic.
 */
import type { EndpointSlice, SliceEndpoint } from '../../shared/kubernetes/objects/types.ts';
import { type Json, jsonList, jsonStruct, jsonText } from '../encoding/go-json.ts';
import { canonicalAddress } from '../encoding/ip.ts';
import { quoted } from './conversion.ts';
import { type NamedPorts, namedPorts, unionOfPorts } from './ports.ts';

/** Readers and upstream support only these address types; the third one, FQDN, has names. */
const ADDRESS_TYPES: ReadonlySet<string> = new Set(['IPv4', 'IPv6']);

/** In the topology of endpoints that were written through an older API version, instead of `zone`. */
const ZONE_LABEL = 'topology.kubernetes.io/zone';

export interface Backend {
  readonly address: string;
  readonly ports: Json;
  readonly hostname: Json | undefined;
  readonly zone: Json | undefined;
}

/** How much an endpoint is to be preferred to others of its address. */
type Rank = 1 | 2 | 3;
const SERVING: Rank = 1;
const READY_AND_TERMINATING: Rank = 2;
const READY: Rank = 3;

/** An address named by an endpoint that gets traffic. */
interface Naming {
  readonly endpoint: SliceEndpoint;
  readonly rank: Rank;
  readonly ports: NamedPorts;
}

/**
 * The backends of `slices`, whose order has to be stable. An address has the ports of all endpoints that name it and get traffic;
 * of equal names that of the endpoint to be preferred, then the last one's. Host name and zone are those of the endpoints to
 * be preferred, of equal ones the last that is known.
 */
export function backendsOf(slices: readonly EndpointSlice[], rejected: string[]): Backend[] {
  const namings = new Map<string, Naming[]>();
  for (const slice of slices) addNamings(namings, slice, rejected);
  return [...namings].map(([address, all]) => backend(address, all));
}

function addNamings(namings: Map<string, Naming[]>, slice: EndpointSlice, rejected: string[]): void {
  if (!ADDRESS_TYPES.has(slice.addressType)) return;
  const field = `EndpointSlice ${slice.metadata.name}`;
  const ports = namedPorts(`${field}: ports`, slice.ports ?? [], rejected);
  for (const endpoint of slice.endpoints ?? []) {
    const rank = rankOf(endpoint);
    if (rank === undefined) continue;
    for (const text of endpoint.addresses ?? []) {
      const address = canonicalAddress(text);
      if (address === undefined) {
        if (text !== '') rejected.push(`${field}: ${quoted(text)} is not an address`);
        continue;
      }
      const others = namings.get(address);
      if (others === undefined) namings.set(address, [{ endpoint, rank, ports }]);
      else others.push({ endpoint, rank, ports });
    }
  }
}

/**
 * Undefined if it gets no traffic: it is neither ready nor serving. The defaults are those of Kubernetes: ready if absent, and serving
 * like ready if absent. Upstream treats an absent `serving` as true even if the endpoint is not
 * ready, as for the slices of a custom Endpoints.
 */
function rankOf({ conditions = {} }: SliceEndpoint): Rank | undefined {
  const isReady = conditions.ready ?? true;
  if (isReady) return conditions.terminating === true ? READY_AND_TERMINATING : READY;
  return conditions.serving === true ? SERVING : undefined;
}

function backend(address: string, namings: readonly Naming[]): Backend {
  const ascending = namings.length === 1 ? namings : namings.toSorted((a, b) => a.rank - b.rank);
  const preferred = ascending.filter(({ rank }) => rank === ascending.at(-1)?.rank).map(({ endpoint }) => endpoint);
  const hostname = preferred.findLast((endpoint) => endpoint.hostname)?.hostname;
  const zoned = preferred.findLast((endpoint) => zoneOf(endpoint));
  return {
    address,
    ports: unionOfPorts(ascending.map(({ ports }) => ports)),
    hostname: hostname ? jsonText(hostname) : undefined,
    zone: zoned && zoneJson(zoned),
  };
}

function zoneOf({ zone, deprecatedTopology }: SliceEndpoint): string | undefined {
  if (zone !== undefined) return zone;
  return deprecatedTopology && Object.hasOwn(deprecatedTopology, ZONE_LABEL) ? deprecatedTopology[ZONE_LABEL] : undefined;
}

/** Hints without a zone are dropped, and those for nodes too, as in upstream. */
function zoneJson(endpoint: SliceEndpoint): Json {
  const hints = (endpoint.hints?.forZones ?? []).map(({ name }) => jsonStruct({ name: jsonText(name) }));
  return jsonStruct({ zone: jsonText(zoneOf(endpoint) ?? ''), forZones: jsonList(hints) });
}
