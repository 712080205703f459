/**
 * The annotations and labels that decide whether an object is shared with the mesh.
 */
import type { EndpointSlice, Namespace, Service } from '../../shared/kubernetes/objects/types.ts';
import { annotationOf, GLOBAL_NAMESPACE, GLOBAL_SERVICE, SHARED_SERVICE } from '../annotations.ts';

/** Names the service a slice belongs to, in the slice's own namespace. */
const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Whether the service is shared with the mesh: global, and not withheld by the second annotation. */
export function isShared({ metadata }: Service): boolean {
  return isTrue(annotationOf(metadata, GLOBAL_SERVICE)) && isTrue(annotationOf(metadata, SHARED_SERVICE) ?? 'true');
}

/** Whether objects of the namespace are exported; undefined where it leaves that to the default of the cluster. */
export function isGlobalNamespace({ metadata }: Namespace): boolean | undefined {
  const value = annotationOf(metadata, GLOBAL_NAMESPACE);
  return value === undefined ? undefined : isTrue(value);
}

/** The name of the service the slice belongs to; undefined where it belongs to none. */
export function serviceNameOf({ metadata }: EndpointSlice): string | undefined {
  const { labels } = metadata;
  return (labels && Object.hasOwn(labels, SERVICE_NAME_LABEL) && labels[SERVICE_NAME_LABEL]) || undefined;
}

/** Every value other than `true`, in any case, is false. */
function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}
