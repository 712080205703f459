/**
 * The kinds this program lists and watches, as data: a further kind is one more entry here.
 *
 * All of them are read over all namespaces. Selectors are applied by the API server, which turns an
 * object that stops matching into a removal.
 */
export interface Resource {
  readonly kind: string;
  /** '' for the core group. */
  readonly group: string;
  /** The preferred one. */
  readonly version: string;
  /** Versions to fall back to, in order, where the server does not serve `version`. All have the fields in use alike. */
  readonly olderVersions?: readonly string[];
  readonly plural: string;
  /** Server-side label selector. */
  readonly labelSelector?: string;
  /** Requests only the metadata of the objects. */
  readonly metadataOnly?: boolean;
}

export const NAMESPACES: Resource = { kind: 'Namespace', group: '', version: 'v1', plural: 'namespaces' };

export const CILIUM_NODES: Resource = { kind: 'CiliumNode', group: 'cilium.io', version: 'v2', plural: 'ciliumnodes' };

export const CILIUM_IDENTITIES: Resource = {
  kind: 'CiliumIdentity',
  group: 'cilium.io',
  version: 'v2',
  plural: 'ciliumidentities',
};

export const CILIUM_ENDPOINTS: Resource = {
  kind: 'CiliumEndpoint',
  group: 'cilium.io',
  version: 'v2',
  plural: 'ciliumendpoints',
};

export const CILIUM_ENDPOINT_SLICES: Resource = {
  kind: 'CiliumEndpointSlice',
  group: 'cilium.io',
  version: 'v2alpha1',
  plural: 'ciliumendpointslices',
};

export const SERVICE_EXPORTS: Resource = {
  kind: 'ServiceExport',
  group: 'multicluster.x-k8s.io',
  version: 'v1beta1',
  olderVersions: ['v1alpha1'],
  plural: 'serviceexports',
};

export const CUSTOM_RESOURCE_DEFINITIONS: Resource = {
  kind: 'CustomResourceDefinition',
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  metadataOnly: true,
};

/**
 * Services handled by the service proxy named `proxyName`, '' being the default one: the label that
 * hands a service to another proxy is then absent. Of these, those that `labelSelector` selects, '' being all.
 */
export function servicesOf(proxyName: string, labelSelector = ''): Resource {
  const selector = [proxySelector(proxyName), labelSelector].filter((part) => part !== '').join(',');
  return { kind: 'Service', group: '', version: 'v1', plural: 'services', labelSelector: selector };
}

/**
 * EndpointSlices of the service proxy named `proxyName`, without those that Cilium's mesh controller
 * mirrored from other clusters: exporting these would send foreign backends around the mesh.
 */
export function endpointSlicesOf(proxyName: string): Resource {
  return {
    kind: 'EndpointSlice',
    group: 'discovery.k8s.io',
    version: 'v1',
    plural: 'endpointslices',
    labelSelector: `${proxySelector(proxyName)},endpointslice.kubernetes.io/managed-by!=endpointslice-mesh-controller.cilium.io`,
  };
}

function proxySelector(proxyName: string): string {
  const label = 'service.kubernetes.io/service-proxy-name';
  return proxyName === '' ? `!${label}` : `${label}=${proxyName}`;
}

/** The resource in each version it may be served in, the preferred one first. */
export function inEachVersion(resource: Resource): readonly Resource[] {
  return [resource, ...(resource.olderVersions ?? []).map((version) => ({ ...resource, version }))];
}

/** The resource as RBAC and CRDs name it: `ciliumnodes.cilium.io`, `services`. */
export function resourceName(resource: Resource): string {
  return resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** Path of the collection over all namespaces, without a query. */
export function collectionPath(resource: Resource): string {
  const { group, version, plural } = resource;
  return group === '' ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`;
}
