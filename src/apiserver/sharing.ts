/**
 * What an object's annotations and labels say about being shared with the mesh.
 */
import type { EndpointSlice, Namespace, ObjectMeta, Service } from '../shared/k8s/types.ts';

/** The names of an annotation, the current one first. The first that is present decides, whatever its value. */
const GLOBAL_ANNOTATIONS = ['service.cilium.io/global', 'io.cilium/global-service'];
const SHARED_ANNOTATIONS = ['service.cilium.io/shared', 'io.cilium/shared-service'];

const NAMESPACE_ANNOTATIONS = ['clustermesh.cilium.io/global'];

/** Names the service a slice belongs to, in the slice's own namespace. */
const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Whether the service is shared with the mesh: global, and not withheld by the second annotation. */
export function isShared({ metadata }: Service): boolean {
  return isTrue(annotation(metadata, GLOBAL_ANNOTATIONS)) && isTrue(annotation(metadata, SHARED_ANNOTATIONS) ?? 'true');
}

/** Whether objects of the namespace are exported; undefined where it leaves that to the default of the cluster. */
export function isGlobalNamespace({ metadata }: Namespace): boolean | undefined {
  const value = annotation(metadata, NAMESPACE_ANNOTATIONS);
  return value === undefined ? undefined : isTrue(value);
}

/** The name of the service the slice belongs to; undefined where it belongs to none. */
export function serviceNameOf({ metadata }: EndpointSlice): string | undefined {
  const { labels } = metadata;
  return (labels && Object.hasOwn(labels, SERVICE_NAME_LABEL) && labels[SERVICE_NAME_LABEL]) || undefined;
}

function annotation({ annotations }: ObjectMeta, names: readonly string[]): string | undefined {
  if (!annotations) return undefined;
  const present = names.find((name) => Object.hasOwn(annotations, name));
  return present === undefined ? undefined : annotations[present];
}

/** Whatever is not `true`, in any spelling of case, is false. */
function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}
