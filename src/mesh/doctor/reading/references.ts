/** Objects that the Pods of clustermesh-apiserver cannot start without. */
import { type JsonRecord, recordOf } from '../../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../../addresses.ts';
import type { ClusterFacts } from '../facts.ts';
import type { Reader } from './reader.ts';

/** Objects that are looked up. */
const MAX_REFERENCES = 40;
const PLURALS = { Secret: 'secrets', ConfigMap: 'configmaps', ServiceAccount: 'serviceaccounts' } as const;

interface Reference {
  readonly kind: keyof typeof PLURALS;
  readonly name: string;
}

/** Those of `spec` that do not exist: `Secret kube-system/name`. */
export async function missingReferences(reader: Reader, spec: JsonRecord): Promise<ClusterFacts['missingReferences']> {
  const account = spec.serviceAccountName ?? 'default';
  const all: Reference[] = [...neededBy(spec), { kind: 'ServiceAccount', name: String(account) }];
  const unique = [...new Map(all.map((each) => [`${each.kind} ${each.name}`, each])).values()].slice(0, MAX_REFERENCES);
  const found = await Promise.all(
    unique.map(async ({ kind, name }) => ({
      kind,
      name,
      fact: await reader.named(PLURALS[kind], name, 'the objects that the Pods refer to'),
    })),
  );
  if (found.every(({ fact }) => fact === 'unread')) return 'unread';
  return found.filter(({ fact }) => fact === 'absent').map(({ kind, name }) => `${kind} ${reader.cluster.namespace}/${name}`);
}

/** Without those that are optional. */
function neededBy(spec: JsonRecord): readonly Reference[] {
  const volumes = recordsOf(spec.volumes).flatMap((volume) => [volume, ...recordsOf(recordOf(volume.projected).sources)]);
  const containers = [...recordsOf(spec.initContainers), ...recordsOf(spec.containers)];
  const variables = containers.flatMap(({ env }) => recordsOf(env).map(({ valueFrom }) => recordOf(valueFrom)));
  const sources = containers.flatMap(({ envFrom }) => recordsOf(envFrom));
  return [
    ...volumes.flatMap(({ secret, configMap }) => [
      ...reference('Secret', secret, recordOf(secret).secretName ?? recordOf(secret).name),
      ...reference('ConfigMap', configMap, recordOf(configMap).name),
    ]),
    ...variables.flatMap(({ secretKeyRef, configMapKeyRef }) => [
      ...reference('Secret', secretKeyRef, recordOf(secretKeyRef).name),
      ...reference('ConfigMap', configMapKeyRef, recordOf(configMapKeyRef).name),
    ]),
    ...sources.flatMap(({ secretRef, configMapRef }) => [
      ...reference('Secret', secretRef, recordOf(secretRef).name),
      ...reference('ConfigMap', configMapRef, recordOf(configMapRef).name),
    ]),
  ];
}

function reference(kind: Reference['kind'], source: unknown, name: unknown): readonly Reference[] {
  if (typeof name !== 'string' || name === '' || recordOf(source).optional === true) return [];
  return [{ kind, name }];
}
