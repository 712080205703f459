/** What an API server adds to an object that is applied to it, as far as it shows in what is exported. */
import { isIPv6 } from 'node:net';
import type { Manifest } from '../cluster-model.ts';

/** When everything was created. */
export const CREATION_TIME = '2026-02-03T04:05:06Z';

interface Port {
  readonly name?: string;
  readonly protocol?: string;
}

interface ServiceManifest extends Manifest {
  readonly spec: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly Port[];
  };
}

export function asServed(manifest: Manifest): Manifest {
  if (manifest.kind === 'Service') return servedService(manifest as ServiceManifest);
  if (manifest.kind === 'EndpointSlice') {
    const { ports = [] } = manifest as Manifest & { readonly ports?: readonly Port[] };
    return { ...manifest, ports: ports.map((port) => ({ name: '', protocol: 'TCP', ...port })) } as Manifest;
  }
  if (manifest.kind === 'ServiceExport') {
    return { ...manifest, metadata: { ...manifest.metadata, creationTimestamp: CREATION_TIME } } as Manifest;
  }
  return manifest;
}

function servedService(service: ServiceManifest): Manifest {
  const { spec } = service;
  const ports = spec.ports?.map((port) => ({ protocol: 'TCP', ...port }));
  if (spec.type === 'ExternalName') return { ...service, spec: { sessionAffinity: 'None', ...spec, ports } } as Manifest;
  const clusterIPs = spec.clusterIPs ?? [spec.clusterIP ?? ''];
  const ipFamilies = clusterIPs.map((address) => (isIPv6(address) ? 'IPv6' : 'IPv4'));
  const defaults = { type: 'ClusterIP', clusterIPs, ipFamilies, sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' };
  return { ...service, spec: { ...defaults, ...spec, ports } } as Manifest;
}
