/**
 * CiliumEndpointSlice → its pods, whose addresses are exported. All belong to the namespace in the slice.
 *
 * A slice does not contain the age of its pods. Its own age decides between slices with the same address: it is the same in
 * each run.
 */
import type { CiliumEndpointSlice } from '../../shared/kubernetes/objects/types.ts';
import { createdMsOf, type Pods, podOf } from './pods.ts';

export function podsOfCiliumEndpointSlice({ metadata, namespace = '', endpoints }: CiliumEndpointSlice): Pods {
  const pods = (endpoints ?? []).map((endpoint) => podOf(endpoint.name ?? '', endpoint.id, endpoint));
  return { namespace, createdMs: createdMsOf(metadata), pods };
}
