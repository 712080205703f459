/**
 * The forms an object can be answered in: whole, as a table for `kubectl get`, or its metadata alone.
 */

import type { Column } from '../kinds/resource-kind.ts';
import type { Json, JsonObject } from '../objects/json.ts';
import { inVersion, type KubernetesObject } from '../objects/kubernetes-object.ts';
import type { ResourcePath } from './resource-path.ts';
import { StatusError } from './status-error.ts';

export type Form = 'object' | 'table' | 'metadata';

export interface Representation {
  readonly form: Form;
  /** What the rows of a table carry besides their cells. */
  readonly rowObject: 'None' | 'Metadata' | 'Object';
  readonly nowMs: number;
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** The first form of an Accept header that the API has. Throws a 406 where it has none of them. */
export function formOf(accept: string): Form {
  for (const clause of accept.split(',')) {
    const [type = '', ...parameters] = clause.split(';').map((part) => part.trim());
    if (!['application/json', 'application/*', '*/*', ''].includes(type)) continue;
    const as = parameters.find((each) => each.startsWith('as='))?.slice(3);
    if (as === undefined) return 'object';
    if (as === 'Table') return 'table';
    if (as.startsWith('PartialObjectMetadata')) return 'metadata';
  }
  throw new StatusError(406, 'NotAcceptable', `only application/json can be answered, not "${accept}"`);
}

/** The answer that carries one object. */
export function representOne(path: ResourcePath, object: KubernetesObject, as: Representation): Json {
  const versioned = inVersion(object, path.apiVersion);
  if (as.form === 'table') return table(path, [versioned], { resourceVersion: resourceVersionOf(object) }, as);
  return as.form === 'metadata' ? metadataOnly(versioned) : versioned;
}

/** The answer that carries a list of objects. Items of built-in kinds do not repeat their kind, as in a real API. */
export function representList(
  path: ResourcePath,
  objects: readonly KubernetesObject[],
  meta: ListMeta,
  as: Representation,
): Json {
  const versioned = objects.map((object) => inVersion(object, path.apiVersion));
  if (as.form === 'table') return table(path, versioned, meta, as);
  const metadata = { ...meta };
  if (as.form === 'metadata') {
    const items = versioned.map(metadataOnly);
    return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items };
  }
  const items = path.kind.isCustom ? versioned : versioned.map(({ apiVersion, kind, ...rest }) => rest);
  return { kind: `${path.kind.kind}List`, apiVersion: path.apiVersion, metadata, items };
}

/** An object of nothing but a revision: everything up to it has been told. */
export function representBookmark(
  path: ResourcePath,
  revision: number,
  annotations: JsonObject | undefined,
  as: Representation,
): Json {
  const metadata = { resourceVersion: String(revision), ...(annotations === undefined ? {} : { annotations }) };
  if (as.form === 'table') {
    const row = {
      cells: path.kind.columns.map(() => null),
      object: { kind: path.kind.kind, apiVersion: path.apiVersion, metadata },
    };
    return { ...table(path, [], { resourceVersion: String(revision) }, as), rows: [row] };
  }
  if (as.form === 'metadata') return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata };
  return { kind: path.kind.kind, apiVersion: path.apiVersion, metadata };
}

function table(path: ResourcePath, objects: readonly KubernetesObject[], meta: ListMeta, as: Representation): JsonObject {
  const definition = ({ name, priority }: Column): JsonObject => ({
    name,
    type: 'string',
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority,
  });
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { ...meta },
    columnDefinitions: path.kind.columns.map(definition),
    rows: objects.map((object) => row(path, object, as)),
  };
}

function row(path: ResourcePath, object: KubernetesObject, as: Representation): JsonObject {
  const cells = path.kind.columns.map((column) => column.value(object, as.nowMs));
  if (as.rowObject === 'None') return { cells };
  return { cells, object: as.rowObject === 'Object' ? object : metadataOnly(object) };
}

function metadataOnly(object: KubernetesObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata };
}

function resourceVersionOf(object: KubernetesObject): string {
  return String(object.metadata.resourceVersion ?? '');
}
