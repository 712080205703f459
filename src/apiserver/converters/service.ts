/**
 * Service and its EndpointSlices → one key below `cilium/state/services/v1/<cluster>/`.
 *
 * Frontends are the cluster's addresses of the service and nothing else: no node ports, no external or
 * load balancer addresses. Backends are the endpoints that would get traffic.
 */
import type { EndpointSlice, Service, SliceEndpoint } from '../../shared/k8s/types.ts';
import { type Json, jsonBoolean, jsonInteger, jsonList, jsonMap, jsonStruct, jsonText, jsonTextMap } from '../go-json.ts';
import { canonicalAddress } from '../ip.ts';
import { type Cluster, serviceKey } from '../keyspace.ts';
import { type Conversion, quoted } from './conversion.ts';

const HEADLESS_LABEL = 'service.kubernetes.io/headless';

/** What the API server fills in where an object says nothing. */
const DEFAULT_PROTOCOL = 'TCP';

/** Backends by address: their ports, and what is known of some of them. */
interface Backends {
  readonly ports: Map<string, Json>;
  readonly hostnames: Map<string, Json>;
  readonly zones: Map<string, Json>;
}

interface Port {
  readonly name?: string;
  readonly protocol?: string;
  readonly port?: number;
}

/**
 * What a shared service exports: always one entry. `slices` are those of the service, in a stable order: of
 * an address in several of them the ports of the last one count.
 */
export function convertService(cluster: Cluster, service: Service, slices: readonly EndpointSlice[]): Conversion {
  const { name, namespace = '', labels } = service.metadata;
  const rejected: string[] = [];
  const backends: Backends = { ports: new Map(), hostnames: new Map(), zones: new Map() };
  for (const slice of slices) addBackends(backends, slice, rejected);
  const value = jsonStruct({
    cluster: jsonText(cluster.name),
    namespace: jsonText(namespace),
    name: jsonText(name),
    frontends: frontends(service, rejected),
    backends: jsonMap(backends.ports),
    hostnames: mapOrOmitted(backends.hostnames),
    zones: mapOrOmitted(backends.zones),
    labels: jsonTextMap(labels ?? {}),
    selector: jsonTextMap(service.spec?.selector ?? {}),
    includeExternal: jsonBoolean(true),
    shared: jsonBoolean(true),
    clusterID: jsonInteger(cluster.id),
  });
  return { entries: [{ key: serviceKey(cluster, namespace, name), value: Buffer.from(value) }], rejected };
}

/**
 * The service's own addresses, all with the same ports.
 *
 * None for a headless service, and none where the service has no address (ExternalName): upstream then
 * writes a frontend with an empty address, for which readers refuse the whole service.
 */
function frontends(service: Service, rejected: string[]): Json {
  if (isHeadless(service)) return jsonMap([]);
  const { clusterIP = '', clusterIPs, ports } = service.spec ?? {};
  const texts = clusterIPs && clusterIPs.length > 0 ? clusterIPs : [clusterIP];
  const addresses = texts.flatMap((text) => usableAddress('spec.clusterIPs', text, rejected) ?? []);
  const portMap = portsJson(ports ?? []);
  return jsonMap(addresses.map((address) => [address, portMap] as const));
}

function isHeadless({ metadata, spec }: Service): boolean {
  return Object.hasOwn(metadata.labels ?? {}, HEADLESS_LABEL) || spec?.clusterIP?.toLowerCase() === 'none';
}

function addBackends(backends: Backends, slice: EndpointSlice, rejected: string[]): void {
  if (slice.addressType === 'FQDN') return;
  const ports = portsJson(slice.ports ?? []);
  for (const endpoint of slice.endpoints ?? []) {
    if (!getsTraffic(endpoint)) continue;
    for (const text of endpoint.addresses ?? []) {
      const address = usableAddress(`EndpointSlice ${slice.metadata.name}`, text, rejected);
      if (address === undefined) continue;
      backends.ports.set(address, ports);
      if (endpoint.hostname) backends.hostnames.set(address, jsonText(endpoint.hostname));
      if (endpoint.zone) backends.zones.set(address, zoneJson(endpoint.zone, endpoint));
    }
  }
}

/** Unset counts as true, so an endpoint is left out only where both are false in so many words. Terminating plays no part. */
function getsTraffic({ conditions = {} }: SliceEndpoint): boolean {
  return (conditions.ready ?? true) || (conditions.serving ?? true);
}

/** By name; of equal names the last one. A port without a number stands for all ports and cannot be exported. */
function portsJson(ports: readonly Port[]): Json {
  return jsonMap(
    ports.flatMap(({ name = '', protocol, port }) => {
      if (port === undefined) return [];
      return [[name, jsonStruct({ Protocol: jsonText(protocol || DEFAULT_PROTOCOL), Port: jsonInteger(port) })] as const];
    }),
  );
}

function zoneJson(zone: string, endpoint: SliceEndpoint): Json {
  const hints = (endpoint.hints?.forZones ?? []).map(({ name }) => jsonStruct({ name: jsonText(name) }));
  return jsonStruct({ zone: jsonText(zone), forZones: jsonList(hints) });
}

function usableAddress(field: string, text: string, rejected: string[]): string | undefined {
  const address = canonicalAddress(text);
  if (address === undefined && text !== '') rejected.push(`${field}: ${quoted(text)} is not an address`);
  return address;
}

function mapOrOmitted(map: ReadonlyMap<string, Json>): Json | undefined {
  return map.size === 0 ? undefined : jsonMap(map);
}
