/**
 * The two patches that kubectl sends: `annotate`, `label` and `apply` of a custom resource send a merge patch
 * (RFC 7386), `apply` of a built-in kind sends a strategic merge patch.
 */

import { unsupportedMediaType } from '../http/status-error.ts';
import type { ResourceKind } from '../kinds/resource-kind.ts';
import { isObject, type Json, type JsonObject } from '../objects/json.ts';
import type { KubernetesObject } from '../objects/kubernetes-object.ts';
import { strategicMergePatch } from './strategic-merge-patch.ts';

/** `object` after `patch`. Throws a 415 for any other type of patch, and for a strategic merge patch of a custom resource. */
export function patchedObject(kind: ResourceKind, object: KubernetesObject, contentType: string, patch: JsonObject): JsonObject {
  if (contentType === 'application/merge-patch+json') return mergePatch(object, patch);
  if (contentType === 'application/strategic-merge-patch+json' && !kind.isCustom)
    return strategicMergePatch(object, patch, kind.mergeKeys);
  throw unsupportedMediaType(contentType);
}

/** null removes a field, objects merge, everything else replaces. */
function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const merged = new Map<string, Json>(Object.entries(target));
  for (const [name, value] of Object.entries(patch)) {
    const current = merged.get(name);
    if (value === null) merged.delete(name);
    else merged.set(name, isObject(value) ? mergePatch(isObject(current) ? current : {}, value) : value);
  }
  return Object.fromEntries(merged);
}
