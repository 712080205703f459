/**
 * The OpenAPI v3 documents, as small as kubectl can live with.
 *
 * kubectl asks them whether a patch has the parameter `fieldValidation`: without it `kubectl apply` wants whole schemas,
 * to check fields by itself. They name no strategic merge patch, as kubectl would then take the lists to be merged from
 * schemas too; without it kubectl takes them from its own types.
 */
import type { KindRegistry } from '../kinds/kind-registry.ts';
import { apiVersionOf, type ResourceKind } from '../kinds/resource-kind.ts';
import type { Json, JsonObject } from '../objects/json.ts';

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
  };
}

function rootOf(kind: ResourceKind, version: string): string {
  return `${kind.group === '' ? 'api' : 'apis'}/${apiVersionOf(kind.group, version)}`;
}

function pathOf(kind: ResourceKind, version: string): string {
  return `/${rootOf(kind, version)}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}/{name}`;
}

function operations(kind: ResourceKind, version: string): JsonObject {
  return {
    patch: {
      'x-kubernetes-action': 'patch',
      'x-kubernetes-group-version-kind': { group: kind.group, version, kind: kind.kind },
      parameters: ['fieldManager', 'fieldValidation'].map((name) => ({
        name,
        in: 'query',
        schema: { type: 'string', uniqueItems: true },
      })),
      requestBody: { content: { 'application/merge-patch+json': {} } },
      responses: { '200': { description: 'OK' } },
    },
  };
}
