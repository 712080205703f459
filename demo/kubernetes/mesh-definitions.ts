/**
 * CustomResourceDefinitions of the kinds the project reads: those of Cilium, and ServiceExport of the
 * multi-cluster services API. Their schemas accept everything: malformed objects are part of what is tested.
 */
interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly type?: string;
}

interface Definition {
  readonly group: string;
  readonly kind: string;
  readonly plural: string;
  readonly scope: 'Cluster' | 'Namespaced';
  /** The last one is stored. */
  readonly versions: readonly string[];
  readonly shortNames?: readonly string[];
  readonly columns?: readonly Column[];
}

const DEFINITIONS: readonly Definition[] = [
  {
    group: 'cilium.io',
    kind: 'CiliumNode',
    plural: 'ciliumnodes',
    scope: 'Cluster',
    versions: ['v2'],
    shortNames: ['cn'],
    columns: [{ name: 'First IP', jsonPath: '.spec.addresses[0].ip' }],
  },
  {
    group: 'cilium.io',
    kind: 'CiliumIdentity',
    plural: 'ciliumidentities',
    scope: 'Cluster',
    versions: ['v2'],
    shortNames: ['ciliumid'],
    columns: [{ name: 'Namespace', jsonPath: String.raw`.security-labels.k8s:io\.kubernetes\.pod\.namespace` }],
  },
  {
    group: 'cilium.io',
    kind: 'CiliumEndpoint',
    plural: 'ciliumendpoints',
    scope: 'Namespaced',
    versions: ['v2'],
    shortNames: ['cep'],
    columns: [
      { name: 'Security Identity', jsonPath: '.status.identity.id', type: 'integer' },
      { name: 'IPv4', jsonPath: '.status.networking.addressing[0].ipv4' },
      { name: 'IPv6', jsonPath: '.status.networking.addressing[0].ipv6' },
    ],
  },
  {
    group: 'cilium.io',
    kind: 'CiliumEndpointSlice',
    plural: 'ciliumendpointslices',
    scope: 'Cluster',
    versions: ['v2alpha1'],
    shortNames: ['ces'],
    columns: [{ name: 'Namespace', jsonPath: '.namespace' }],
  },
  {
    group: 'multicluster.x-k8s.io',
    kind: 'ServiceExport',
    plural: 'serviceexports',
    scope: 'Namespaced',
    versions: ['v1alpha1', 'v1beta1'],
    shortNames: ['svcex'],
  },
];

/** The manifests, for this API as for a real one. */
export const meshDefinitions = DEFINITIONS.map((definition) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${definition.plural}.${definition.group}` },
  spec: {
    group: definition.group,
    scope: definition.scope,
    names: {
      kind: definition.kind,
      listKind: `${definition.kind}List`,
      plural: definition.plural,
      singular: definition.kind.toLowerCase(),
      shortNames: definition.shortNames ?? [],
    },
    versions: definition.versions.map((name, index) => ({
      name,
      served: true,
      storage: index === definition.versions.length - 1,
      schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      additionalPrinterColumns: (definition.columns ?? []).map((column) => ({ type: 'string', ...column })),
    })),
  },
}));
