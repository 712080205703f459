/**
 * CustomResourceDefinitions, and the kinds they define.
 *
 * A definition is served from the moment it is stored to the moment it is deleted, with every version it
 * lists as served. Schemas are not looked at: what is stored is what was given.
 */
import { at, isObject, type Json, type JsonObject, listOr, objectOr, textOf } from '../objects/json.ts';
import { type KubernetesObject, nameOf, withField } from '../objects/kubernetes-object.ts';
import { AGE_COLUMN, NAME_COLUMN } from './columns.ts';
import { builtInKind, type Column, column, type ResourceKind } from './resource-kind.ts';

export const customResourceDefinitionKind = builtInKind({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  namespaced: false,
  columns: [NAME_COLUMN, column('Created At', (object) => textOf(object.metadata.creationTimestamp) ?? '')],
  complete(object, _previous, { time }) {
    const spec = objectOr(object.spec);
    const names = objectOr(spec.names);
    const kind = textOf(names.kind) ?? '';
    const accepted = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names };
    const condition = (type: string, reason: string) => ({ type, status: 'True', reason, message: '', lastTransitionTime: time });
    const status = {
      acceptedNames: accepted,
      conditions: [condition('NamesAccepted', 'NoConflicts'), condition('Established', 'InitialNamesAccepted')],
      storedVersions: versionsOf(object)
        .filter((version) => version.storage === true)
        .map((version) => version.name ?? ''),
      ...objectOr(object.status),
    };
    const completed = { conversion: { strategy: 'None' }, ...spec, names: accepted };
    return withField(withField(object, 'spec', completed), 'status', status);
  },
});

/** The kind a stored definition makes the API serve. */
export function kindOf(definition: KubernetesObject): ResourceKind {
  const spec = objectOr(definition.spec);
  const names = objectOr(spec.names);
  const versions = versionsOf(definition);
  const served = versions.filter((version) => version.served === true);
  const storage = versions.find((version) => version.storage === true) ?? {};
  const text = (name: string) => textOf(names[name]) ?? '';
  const texts = (name: string) => listOr(names[name]).map(String);
  return {
    id: nameOf(definition),
    group: textOf(spec.group) ?? '',
    versions: preferredFirst(served.map((version) => textOf(version.name) ?? '')),
    storageVersion: textOf(storage.name) ?? '',
    kind: text('kind'),
    plural: text('plural'),
    shortNames: texts('shortNames'),
    categories: texts('categories'),
    namespaced: spec.scope === 'Namespaced',
    hasStatus: at(storage, 'subresources', 'status') !== undefined,
    isCustom: true,
    countsGenerations: true,
    mergeKeys: {},
    columns: columnsOf(storage),
    complete: (object) => object,
    check: () => [],
  };
}

function versionsOf(definition: KubernetesObject): JsonObject[] {
  return listOr(at(definition, 'spec', 'versions')).filter(isObject);
}

/** Stable versions before beta before alpha, later ones before earlier ones. */
function preferredFirst(versions: readonly string[]): string[] {
  const rank = (version: string) => {
    const [, major = '0', stage = 'zz', minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
    return { stage, major: Number(major), minor: Number(minor) };
  };
  return [...versions].sort((a, b) => {
    const [one, other] = [rank(a), rank(b)];
    return other.stage.localeCompare(one.stage) || other.major - one.major || other.minor - one.minor;
  });
}

function columnsOf(version: JsonObject): readonly Column[] {
  const printed = listOr(version.additionalPrinterColumns).filter(isObject);
  const columns = printed.map((each) =>
    column(textOf(each.name) ?? '', (object) => shown(atPath(object, textOf(each.jsonPath) ?? '')), Number(each.priority ?? 0)),
  );
  return [NAME_COLUMN, ...columns, AGE_COLUMN];
}

/** The value at a JSON path of fields and list positions: `.status.networking.addressing[0].ipv4`, dots in names written `\.`. */
function atPath(object: JsonObject, path: string): Json | undefined {
  let current: Json | undefined = object;
  for (const [, name, position] of path.matchAll(/\.((?:\\.|[^.[\\])+)|\[(\d+)\]/g)) {
    if (name !== undefined) current = at(current, name.replaceAll('\\', ''));
    else current = listOr(current)[Number(position)];
  }
  return current;
}

function shown(value: Json | undefined): string | number {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' || typeof value === 'number' ? value : JSON.stringify(value);
}
