/**
 * Service and its EndpointSlices → one key below `cilium/state/services/v1/<cluster>/`.
 *
 * Frontends are the cluster's addresses of the service and nothing else: no node ports, no external or
 * load balancer addresses. Backends are the endpoints that would get traffic.
 */
import type { EndpointSlice, Service } from '../../shared/kubernetes/objects/types.ts';
import { type Json, jsonBoolean, jsonInteger, jsonMap, jsonStruct, jsonText, jsonTextMap } from '../encoding/go-json.ts';
import { canonicalAddress } from '../encoding/ip.ts';
import { type Cluster, serviceKey } from '../encoding/keyspace.ts';
import { type Backend, backendsOf } from './backends.ts';
import { type Conversion, quoted } from './conversion.ts';
import { namedPorts } from './ports.ts';

const HEADLESS_LABEL = 'service.kubernetes.io/headless';

/** What a shared service exports: always one entry. `slices` are those of the service, in a stable order (see `backendsOf`). */
export function convertService(cluster: Cluster, service: Service, slices: readonly EndpointSlice[]): Conversion {
  const { name, namespace = '', labels } = service.metadata;
  const rejected: string[] = [];
  const backends = backendsOf(slices, rejected);
  const value = jsonStruct({
    cluster: jsonText(cluster.name),
    namespace: jsonText(namespace),
    name: jsonText(name),
    frontends: frontends(service, rejected),
    backends: jsonMap(backends.map(({ address, ports }) => [address, ports] as const)),
    hostnames: knownOf(backends, ({ hostname }) => hostname),
    zones: knownOf(backends, ({ zone }) => zone),
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
  const { json } = namedPorts('spec.ports', ports ?? [], rejected);
  return jsonMap(
    texts.flatMap((text) => {
      const address = canonicalAddress(text);
      if (address !== undefined) return [[address, json] as const];
      if (text !== '') rejected.push(`spec.clusterIPs: ${quoted(text)} is not an address`);
      return [];
    }),
  );
}

function isHeadless({ metadata, spec }: Service): boolean {
  return Object.hasOwn(metadata.labels ?? {}, HEADLESS_LABEL) || spec?.clusterIP?.toLowerCase() === 'none';
}

/** By address, what is known of some backends; left out where it is known of none. */
function knownOf(backends: readonly Backend[], of: (backend: Backend) => Json | undefined): Json | undefined {
  const known = backends.flatMap((backend) => {
    const json = of(backend);
    return json === undefined ? [] : [[backend.address, json] as const];
  });
  return known.length === 0 ? undefined : jsonMap(known);
}
