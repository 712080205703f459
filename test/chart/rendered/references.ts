/** References of the objects of a chart to objects that do not exist. */
import { type KubeObject, referenceOf, type Values } from './helm.ts';
import {
  type Container,
  claimsOf,
  containersOf,
  type NamedSource,
  type PodTemplate,
  podOf,
  type Volume,
  type VolumeSource,
} from './pods.ts';

const CERTIFICATES = ['server', 'admin', 'remote', 'local'];
const CERTIFICATE_KEYS = ['ca.crt', 'tls.crt', 'tls.key'];

/** What exists, by `Kind/name`, with its keys; `any` where these are not known. */
type Existing = ReadonlyMap<string, readonly string[] | 'any'>;

/** A line for each reference to what neither is among `objects` nor comes from elsewhere with such values. */
export function danglingReferences(objects: readonly KubeObject[], values: Values): readonly string[] {
  const existing = existingWith(objects, values);
  return objects.flatMap((object) => {
    const pod = podOf(object);
    const problems = [
      ...(pod === undefined ? [] : podProblems(pod, existing)),
      ...roleProblems(object, existing),
      ...selectorProblems(object, objects),
    ];
    return problems.map((problem) => `${referenceOf(object)}: ${problem}`);
  });
}

/** Objects of one kind and name, of which Kubernetes has the last one only. */
export function duplicates(objects: readonly KubeObject[]): readonly string[] {
  const references = objects.map((object) => `${object.metadata.namespace ?? ''}/${referenceOf(object)}`);
  return references.filter((reference, index) => references.indexOf(reference) !== index);
}

function existingWith(objects: readonly KubeObject[], values: Values): Existing {
  const {
    tls,
    etcd,
    serviceAccount,
    extraObjects: _,
  } = values as {
    readonly tls?: { readonly method?: string; readonly caBundle?: { name?: string; key?: string; useSecret?: boolean } };
    readonly etcd?: { readonly replication?: { readonly enabled?: boolean } };
    readonly serviceAccount?: { readonly create?: boolean; readonly name?: string };
    readonly extraObjects?: unknown;
  };
  const existing = new Map<string, readonly string[] | 'any'>([['ConfigMap/kube-root-ca.crt', ['ca.crt']]]);
  for (const object of objects) existing.set(referenceOf(object), Object.keys(object.data ?? {}));
  // The other methods leave them to cert-manager, to a Job, or to a person.
  const isHelm = (tls?.method ?? 'helm') === 'helm';
  const certificates = [...CERTIFICATES, ...(etcd?.replication?.enabled ? ['peer'] : [])];
  if (!isHelm) for (const name of certificates) existing.set(`Secret/clustermesh-apiserver-${name}-cert`, CERTIFICATE_KEYS);
  const bundle = tls?.caBundle;
  existing.set(`${bundle?.useSecret ? 'Secret' : 'ConfigMap'}/${bundle?.name ?? 'cilium-root-ca.crt'}`, [
    bundle?.key ?? 'ca.crt',
  ]);
  existing.set('PersistentVolumeClaim/given', 'any');
  for (const { claimName } of objects.flatMap(claimsOf)) existing.set(`PersistentVolumeClaim/${claimName}`, 'any');
  if (serviceAccount?.create === false) existing.set(`ServiceAccount/${serviceAccount.name ?? 'clustermesh-apiserver'}`, 'any');
  return existing;
}

function podProblems(pod: PodTemplate, existing: Existing): readonly string[] {
  const volumes = pod.spec.volumes ?? [];
  const containers = containersOf(pod);
  const account = pod.spec.serviceAccountName;
  return [
    ...volumes.flatMap((volume) => sourcesOf(volume).flatMap((source) => sourceProblems(source, existing))),
    ...containers.flatMap((container) => containerProblems(container, volumes)),
    ...volumes
      .filter(({ name }) => !containers.some(({ volumeMounts = [] }) => volumeMounts.some((mount) => mount.name === name)))
      .map(({ name }) => `no container mounts the volume ${name}`),
    ...(account === undefined || existing.has(`ServiceAccount/${account}`) ? [] : [`no ServiceAccount ${account}`]),
    ...repeated(containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name))).map((name) => `two ports ${name}`),
    ...repeated(containers.flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort))).map(
      (port) => `port ${port} twice`,
    ),
  ];
}

function sourcesOf(volume: Volume): readonly VolumeSource[] {
  return volume.projected?.sources ?? [volume];
}

function sourceProblems({ secret, configMap, persistentVolumeClaim }: VolumeSource, existing: Existing): readonly string[] {
  const claim = persistentVolumeClaim && `PersistentVolumeClaim/${persistentVolumeClaim.claimName}`;
  return [
    ...(claim === undefined || existing.has(claim) ? [] : [`no ${claim}`]),
    ...(secret === undefined ? [] : keyProblems('Secret', secret.name ?? secret.secretName ?? '', secret, existing)),
    ...(configMap === undefined ? [] : keyProblems('ConfigMap', configMap.name ?? '', configMap, existing)),
  ];
}

function keyProblems(kind: string, name: string, source: NamedSource, existing: Existing): readonly string[] {
  const keys = existing.get(`${kind}/${name}`);
  if (keys === undefined) return source.optional ? [] : [`no ${kind} ${name}`];
  if (keys === 'any') return [];
  return (source.items ?? []).filter(({ key }) => !keys.includes(key)).map(({ key }) => `${kind} ${name} has no ${key}`);
}

function containerProblems(container: Container, volumes: readonly Volume[]): readonly string[] {
  const mounts = container.volumeMounts ?? [];
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  const ports = new Set(probes.flatMap((probe) => (probe === undefined ? [] : [probe.httpGet.port])));
  return [
    ...mounts.filter(({ name }) => !volumes.some((volume) => volume.name === name)).map(({ name }) => `no volume ${name}`),
    ...repeated(mounts.map(({ mountPath }) => mountPath)).map((path) => `two volumes at ${path}`),
    ...[...ports].filter((port) => !container.ports?.some(({ name }) => name === port)).map((port) => `no port ${port} to probe`),
  ];
}

function roleProblems({ roleRef, subjects = [] }: KubeObject, existing: Existing): readonly string[] {
  return [
    ...(roleRef === undefined || existing.has(`${roleRef.kind}/${roleRef.name}`) ? [] : [`no ${roleRef.kind} ${roleRef.name}`]),
    ...subjects.filter(({ kind, name }) => !existing.has(`${kind}/${name}`)).map(({ kind, name }) => `no ${kind} ${name}`),
  ];
}

type Labels = Readonly<Record<string, string>>;

interface Selecting {
  readonly selector?: Labels & { readonly matchLabels?: Labels };
  readonly podSelector?: { readonly matchLabels: Labels };
  readonly ports?: readonly { readonly name?: string; readonly targetPort: string | number }[];
  readonly endpoints?: readonly { readonly port: string }[];
}

const SELECTING = ['Service', 'NetworkPolicy', 'PodDisruptionBudget', 'ServiceMonitor'];

function selectorProblems(object: KubeObject, objects: readonly KubeObject[]): readonly string[] {
  if (!SELECTING.includes(object.kind)) return [];
  const { selector, podSelector, ports = [], endpoints = [] } = object.spec as Selecting;
  const wanted: Labels = podSelector?.matchLabels ?? selector?.matchLabels ?? selector ?? {};
  if (object.kind === 'ServiceMonitor') return monitorProblems(wanted, endpoints, objects);
  const pods = objects.flatMap((each) => podOf(each) ?? []).filter(({ metadata }) => matches(wanted, metadata.labels));
  const offered = pods.flatMap((pod) => pod.spec.containers.flatMap((container) => container.ports ?? []));
  return [
    ...(pods.length === 1 ? [] : [`selects ${pods.length} kinds of Pods`]),
    ...(object.kind === 'Service' ? ports : [])
      .map(({ targetPort }) => targetPort)
      .filter((target) => !offered.some(({ name, containerPort }) => name === target || containerPort === target))
      .map((target) => `no Pod has the port ${target}`),
  ];
}

function monitorProblems(
  wanted: Labels,
  endpoints: readonly { readonly port: string }[],
  objects: readonly KubeObject[],
): readonly string[] {
  const services = objects.filter(({ kind, metadata }) => kind === 'Service' && matches(wanted, metadata.labels ?? {}));
  const offered = services.flatMap(({ spec }) => (spec as Selecting).ports ?? []).map(({ name }) => name);
  return [
    ...(services.length === 1 ? [] : [`selects ${services.length} Services`]),
    ...endpoints.filter(({ port }) => !offered.includes(port)).map(({ port }) => `no Service has the port ${port}`),
  ];
}

function matches(wanted: Labels, labels: Labels): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

function repeated<T>(values: readonly T[]): readonly T[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}
