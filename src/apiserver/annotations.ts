/**
 * The annotations that decide about exports, each with its older names.
 *
 * They are the original's. Annotations of the same names on other kinds (pod CIDRs and health addresses of a Node, the
 * affinity of a Service) are read by agents, and not by the exporter.
 */
import type { ObjectMeta } from '../shared/kubernetes/objects/types.ts';

/** The names of one annotation, the current one first. */
export type AnnotationNames = readonly string[];

export const GLOBAL_SERVICE: AnnotationNames = ['service.cilium.io/global', 'io.cilium/global-service'];
export const SHARED_SERVICE: AnnotationNames = ['service.cilium.io/shared', 'io.cilium/shared-service'];
export const GLOBAL_NAMESPACE: AnnotationNames = ['clustermesh.cilium.io/global'];
export const WIREGUARD_PUBLIC_KEY: AnnotationNames = ['network.cilium.io/wg-pub-key', 'io.cilium.network.wg-pub-key'];

/** The value of the first of `names` that is present, be it empty; undefined where none is. */
export function annotationOf({ annotations }: ObjectMeta, names: AnnotationNames): string | undefined {
  if (!annotations) return undefined;
  const present = names.find((name) => Object.hasOwn(annotations, name));
  return present === undefined ? undefined : annotations[present];
}
