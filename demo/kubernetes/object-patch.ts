/**
 * Patches by their content type.
 */
import { isObject, type Json, type JsonObject } from './json.ts';
import { jsonPatch, mergePatch } from './json-patch.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import type { ResourceKind } from './resource-kind.ts';
import { badRequest, unsupportedMediaType } from './status-error.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';

/** `object` after `patch`. Throws a 415 for a type of patch the kind does not know, as custom kinds know no strategic merge. */
export function patchedObject(kind: ResourceKind, object: KubernetesObject, contentType: string, patch: Json): JsonObject {
  const patched = applyPatch(kind, object, contentType, patch);
  if (!isObject(patched)) throw badRequest('the patch makes something that is no object');
  return patched;
}

function applyPatch(kind: ResourceKind, object: KubernetesObject, contentType: string, patch: Json): Json {
  if (contentType === 'application/json-patch+json') return jsonPatch(object, patch);
  if (!isObject(patch)) throw badRequest('the patch is no object');
  if (contentType === 'application/merge-patch+json') return mergePatch(object, patch);
  if (contentType === 'application/strategic-merge-patch+json' && !kind.isCustom)
    return strategicMergePatch(object, patch, kind.structure);
  throw unsupportedMediaType(contentType);
}
