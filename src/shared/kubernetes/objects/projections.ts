/**
 * From an object as the API server sends it to what this program keeps of it, one projection a kind.
 *
 * They run on every object of a list: managed fields, status and annotations of others make most of an
 * object and are dropped before the next one is decoded. They are also where the shape of an object is
 * checked, once; each throws a ShapeError that names the field.
 */
import { flag, list, number, record, text, textMap, textMapOf, wideInteger } from './shape.ts';
import type {
  CiliumEndpoint,
  CiliumEndpointSlice,
  CiliumIdentity,
  CiliumNode,
  CustomResourceDefinitionMetadata,
  EndpointSlice,
  Namespace,
  Service,
  ServiceExport,
} from './types.ts';

/** Names of annotations such as `service.cilium.io/global` and `io.cilium/global-service`. */
const isCiliumName = (name: string): boolean => /(^|\.)cilium\.io\/|^io\.cilium\//.test(name);

const identityOnly = record({ name: text }, { namespace: text });
const identityAndAge = record({ name: text }, { namespace: text, creationTimestamp: text });
const ciliumAnnotatedLabelled = record(
  { name: text },
  { namespace: text, labels: textMap, annotations: textMapOf(isCiliumName) },
);
const fullyDescribed = record({ name: text }, { namespace: text, labels: textMap, annotations: textMap });

/** Keeps only the requested labels. */
export function namespaceProjection(labelNames: readonly string[]): (raw: unknown) => Namespace {
  const labels = textMapOf((name) => labelNames.includes(name));
  const namespace = record({ metadata: record({ name: text }, { labels, annotations: textMapOf(isCiliumName) }) });
  return (raw) => namespace(raw, '');
}

const servicePort = record({ port: number }, { name: text, protocol: text, appProtocol: text });

const serviceSpec = record(
  {},
  {
    type: text,
    clusterIP: text,
    clusterIPs: list(text),
    ports: list(servicePort),
    selector: textMap,
    ipFamilies: list(text),
    sessionAffinity: text,
    sessionAffinityConfig: record({}, { clientIP: record({}, { timeoutSeconds: number }) }),
    internalTrafficPolicy: text,
    trafficDistribution: text,
  },
);

const service = record({ metadata: ciliumAnnotatedLabelled }, { spec: serviceSpec });

/** Keeps only the annotations of Cilium: others are not exported and can be as large as the object. */
export function projectService(raw: unknown): Service {
  return service(raw, '');
}

const sliceEndpoint = record(
  {},
  {
    addresses: list(text),
    conditions: record({}, { ready: flag, serving: flag, terminating: flag }),
    hostname: text,
    deprecatedTopology: textMap,
    nodeName: text,
    zone: text,
    hints: record({}, { forZones: list(record({ name: text })) }),
  },
);

const endpointSlice = record(
  { metadata: fullyDescribed, addressType: text },
  { endpoints: list(sliceEndpoint), ports: list(record({}, { name: text, protocol: text, port: number, appProtocol: text })) },
);

export function projectEndpointSlice(raw: unknown): EndpointSlice {
  return endpointSlice(raw, '');
}

const addressPair = record({}, { ipv4: text, ipv6: text });

const nodeSpec = record(
  {},
  {
    addresses: list(record({}, { type: text, ip: text })),
    ipam: record({}, { podCIDRs: list(text), pools: record({}, { allocated: list(record({}, { cidrs: list(text) })) }) }),
    health: addressPair,
    ingress: addressPair,
    encryption: record({}, { key: wideInteger }),
    bootid: text,
  },
);

const ciliumNode = record({ metadata: fullyDescribed }, { spec: nodeSpec });

export function projectCiliumNode(raw: unknown): CiliumNode {
  return ciliumNode(raw, '');
}

const ciliumIdentity = record({ metadata: identityOnly }, { 'security-labels': textMap });

export function projectCiliumIdentity(raw: unknown): CiliumIdentity {
  return ciliumIdentity(raw, '');
}

/** What a CiliumEndpoint's status and an entry of a CiliumEndpointSlice have in common. */
const endpointFields = {
  networking: record({}, { addressing: list(addressPair), node: text }),
  encryption: record({}, { key: wideInteger }),
  'service-account': text,
  'named-ports': list(record({}, { name: text, port: number, protocol: text })),
};

const endpointStatus = record({}, { ...endpointFields, identity: record({}, { id: wideInteger }) });
const ciliumEndpoint = record({ metadata: identityAndAge }, { status: endpointStatus });

export function projectCiliumEndpoint(raw: unknown): CiliumEndpoint {
  return ciliumEndpoint(raw, '');
}

/** The same with the requested labels; without any where the object has no label at all. */
export function labelledEndpointProjection(labelNames: readonly string[]): (raw: unknown) => CiliumEndpoint {
  const labels = textMapOf((name) => labelNames.includes(name));
  const metadata = record({ name: text }, { namespace: text, creationTimestamp: text, labels });
  const endpoint = record({ metadata }, { status: endpointStatus });
  return (raw) => endpoint(raw, '');
}

const ciliumEndpointSlice = record(
  { metadata: identityAndAge },
  { namespace: text, endpoints: list(record({}, { ...endpointFields, name: text, id: wideInteger })) },
);

export function projectCiliumEndpointSlice(raw: unknown): CiliumEndpointSlice {
  return ciliumEndpointSlice(raw, '');
}

const serviceExport = record(
  { metadata: identityAndAge },
  { spec: record({}, { exportedLabels: textMap, exportedAnnotations: textMap }) },
);

export function projectServiceExport(raw: unknown): ServiceExport {
  return serviceExport(raw, '');
}

const customResourceDefinition = record({ metadata: identityOnly });

export function projectCustomResourceDefinition(raw: unknown): CustomResourceDefinitionMetadata {
  return customResourceDefinition(raw, '');
}
