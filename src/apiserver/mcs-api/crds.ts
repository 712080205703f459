/**
 * The CustomResourceDefinitions of the multi-cluster services API, as data.
 *
 * They accept and reject the same objects as those of kubernetes-sigs/mcs-api in the release and schema revision of their labels:
 * other installers of CRDs, such as Cilium's operator, treat equal labels as an equal CRD. A change of a schema therefore
 * follows a change there, together with the labels.
 */

/** A JSON schema as Kubernetes takes it. */
interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer';
  readonly [keyword: string]: unknown;
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
}

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly [field: string]: unknown }[];
    readonly [field: string]: unknown;
  };
}

const GROUP = 'multicluster.x-k8s.io';

/** The release of mcs-api, and the revision of the schema since that release. */
export const RELEASE_LABEL = `${GROUP}/release-version`;
export const REVISION_LABEL = `${GROUP}/crd-schema-revision`;

const LABELS = { [RELEASE_LABEL]: 'v0.5.0', [REVISION_LABEL]: '0' };

/** In the order of their age; objects are stored in the last one. */
const VERSIONS = ['v1alpha1', 'v1beta1'];

const text = (more: object = {}): Schema => ({ type: 'string', ...more });
const integer = (format: 'int32' | 'int64', more: object = {}): Schema => ({ type: 'integer', format, ...more });
const object = (properties: Readonly<Record<string, Schema>>, more: object = {}): Schema => ({
  type: 'object',
  properties,
  ...more,
});
const array = (items: Schema, more: object = {}): Schema => ({ type: 'array', items, ...more });
const textMap = (description: string): Schema => ({ type: 'object', description, additionalProperties: text() });
const byKey = (key: string) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] });

/** As `metav1.Condition` has it. */
const condition = object(
  {
    type: text({
      maxLength: 316,
      pattern: '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
    }),
    status: text({ enum: ['True', 'False', 'Unknown'] }),
    observedGeneration: integer('int64', { minimum: 0 }),
    lastTransitionTime: text({ format: 'date-time' }),
    reason: text({ minLength: 1, maxLength: 1024, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
    message: text({ maxLength: 32768 }),
  },
  { required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'] },
);

const conditions = array(condition, byKey('type'));

const servicePort = object(
  { name: text(), protocol: text(), appProtocol: text(), port: integer('int32') },
  { required: ['port'] },
);

const serviceExport = {
  spec: object({
    exportedLabels: textMap('Labels of the service as the clusterset sees it.'),
    exportedAnnotations: textMap('Annotations of the service as the clusterset sees it.'),
  }),
  status: object({ conditions }),
};

const serviceImport = {
  spec: object(
    {
      type: text({ enum: ['ClusterSetIP', 'Headless'] }),
      ports: array(servicePort, { 'x-kubernetes-list-type': 'atomic' }),
      ips: array(text(), { maxItems: 2, description: 'Addresses that stand for the service of all clusters.' }),
      ipFamilies: array(text(), { maxItems: 2 }),
      sessionAffinity: text(),
      sessionAffinityConfig: object({ clientIP: object({ timeoutSeconds: integer('int32') }) }),
      internalTrafficPolicy: text(),
      trafficDistribution: text(),
    },
    { required: ['ports', 'type'] },
  ),
  status: object({
    clusters: array(
      object({ cluster: text({ description: 'A cluster that exports the service.' }) }, { required: ['cluster'] }),
      {
        ...byKey('cluster'),
      },
    ),
    conditions,
  }),
};

const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

export const MCS_API_CRDS: readonly CustomResourceDefinition[] = [
  crd({
    kind: 'ServiceExport',
    shortNames: ['svcex', 'svcexport'],
    description: 'Makes the service of the same name and namespace known to the clusterset.',
    properties: serviceExport,
    columns: [AGE],
  }),
  crd({
    kind: 'ServiceImport',
    shortNames: ['svcim', 'svcimport'],
    description: 'A service of the clusterset, whichever clusters export it.',
    properties: serviceImport,
    columns: [
      { name: 'Type', type: 'string', jsonPath: '.spec.type' },
      { name: 'IP', type: 'string', jsonPath: '.spec.ips' },
      AGE,
    ],
  }),
];

interface Kind {
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly properties: Readonly<Record<string, Schema>>;
  readonly columns: readonly Column[];
}

function crd({ kind, shortNames, description, properties, columns }: Kind): CustomResourceDefinition {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const everyObject = { apiVersion: text(), kind: text(), metadata: { type: 'object' } as const };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: LABELS },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames },
      versions: VERSIONS.map((name) => ({
        name,
        served: true,
        storage: name === VERSIONS.at(-1),
        subresources: { status: {} },
        additionalPrinterColumns: columns,
        schema: { openAPIV3Schema: object({ ...everyObject, ...properties }, { description }) },
      })),
    },
  };
}
