/**
 * The OpenAPI v3 documents, as small as kubectl can live with.
 *
 * kubectl asks them two things: whether a kind's patch can check fields on the server (else it would want
 * whole schemas to check them itself), and which lists a strategic merge patch merges by which key.
 */
import type { Json, JsonObject } from './json.ts';
import type { KindRegistry } from './kind-registry.ts';
import { apiVersionOf, type ResourceKind } from './resource-kind.ts';

/** The answer to a path below `/openapi/v3`; undefined where there is no such document. */
export function openApi(pathname: string, kinds: KindRegistry): JsonObject | undefined {
  const roots = Map.groupBy(
    kinds.all().flatMap((kind) => kind.versions.map((version) => ({ kind, version }))),
    ({ kind, version }) => rootOf(kind, version),
  );
  if (pathname === '/openapi/v3' || pathname === '/openapi/v3/') {
    const paths = [...roots.keys()].map((root): [string, Json] => [
      root,
      { serverRelativeURL: `/openapi/v3/${root}?hash=embedded` },
    ]);
    return { paths: Object.fromEntries(paths) };
  }
  const members = roots.get(pathname.replace('/openapi/v3/', ''));
  if (members === undefined) return undefined;
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes (embedded)', version: 'v1.34.0' },
    paths: Object.fromEntries(
      members.map(({ kind, version }): [string, Json] => [pathOf(kind, version), operations(kind, version)]),
    ),
    components: {
      schemas: Object.fromEntries(
        members.map(({ kind, version }): [string, Json] => [schemaName(kind, version), schema(kind, version)]),
      ),
    },
  };
}

function rootOf(kind: ResourceKind, version: string): string {
  return `${kind.group === '' ? 'api' : 'apis'}/${apiVersionOf(kind.group, version)}`;
}

function pathOf(kind: ResourceKind, version: string): string {
  return `/${rootOf(kind, version)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}/{name}`;
}

function schemaName(kind: ResourceKind, version: string): string {
  const group = kind.group === '' ? 'core' : kind.group.split('.').reverse().join('.');
  return `embedded.${group}.${version}.${kind.kind}`;
}

function operations(kind: ResourceKind, version: string): JsonObject {
  const patchTypes = ['application/apply-patch+yaml', 'application/json-patch+json', 'application/merge-patch+json'];
  if (!kind.isCustom) patchTypes.push('application/strategic-merge-patch+json');
  return {
    patch: {
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': { group: kind.group, version, kind: kind.kind },
      parameters: ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => ({
        name,
        in: 'query',
        schema: { type: name === 'force' ? 'boolean' : 'string', uniqueItems: true },
      })),
      requestBody: { content: Object.fromEntries(patchTypes.map((type): [string, Json] => [type, {}])) },
      responses: { '200': { description: 'OK' } },
    },
  };
}

function schema(kind: ResourceKind, version: string): JsonObject {
  const fields: SchemaNode = { fields: new Map(), list: undefined };
  for (const [path, list] of Object.entries(kind.structure.lists)) {
    let node = fields;
    for (const name of path.split('.')) {
      const child: SchemaNode = node.fields.get(name) ?? { fields: new Map(), list: undefined };
      node.fields.set(name, child);
      node = child;
    }
    node.list = list.type === 'map' ? list.mergeKey : '';
  }
  return {
    ...schemaOf(fields),
    'x-kubernetes-group-version-kind': [{ group: kind.group, version, kind: kind.kind }],
  };
}

interface SchemaNode {
  readonly fields: Map<string, SchemaNode>;
  /** The merge key of a list of objects, empty for a list of values, undefined for no list. */
  list: string | undefined;
}

function schemaOf(node: SchemaNode): JsonObject {
  const properties = Object.fromEntries([...node.fields].map(([name, child]): [string, Json] => [name, schemaOf(child)]));
  const object = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties };
  if (node.list === undefined) return object;
  const items = node.list === '' ? { type: 'string' } : object;
  const key = node.list === '' ? {} : { 'x-kubernetes-patch-merge-key': node.list };
  return { type: 'array', items, 'x-kubernetes-patch-strategy': 'merge', ...key };
}
