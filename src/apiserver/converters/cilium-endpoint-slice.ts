/**
 * CiliumEndpointSlice → the pods it tells of, whose addresses are exported. All are of the namespace that the slice names.
 *
 * A slice does not tell the age of its pods. Its own decides between slices that name one address: that is the same in each
 * run, and the best there is.
 */
import type { CiliumEndpointSlice, CoreCiliumEndpoint } from '../../shared/kubernetes/objects/types.ts';
import { lowBits } from './conversion.ts';
import { addressesOf, createdMsOf, type Pod, type Pods } from './pods.ts';

export function podsOfCiliumEndpointSlice({ metadata, namespace = '', endpoints }: CiliumEndpointSlice): Pods {
  return { namespace, createdMs: createdMsOf(metadata), pods: (endpoints ?? []).map(podOf) };
}

function podOf(endpoint: CoreCiliumEndpoint): Pod {
  return {
    name: endpoint.name ?? '',
    addresses: addressesOf(endpoint.networking?.addressing),
    nodeAddress: endpoint.networking?.node ?? '',
    identity: lowBits(endpoint.id ?? 0, 32),
    encryptionKey: lowBits(endpoint.encryption?.key ?? 0, 8),
    serviceAccount: endpoint['service-account'] ?? '',
    namedPorts: endpoint['named-ports'] ?? null,
  };
}
