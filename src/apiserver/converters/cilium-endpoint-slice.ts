/**
 * CiliumEndpointSlice → its pods, whose addresses are exported. All belong to the namespace in the slice.
 *
 * A slice does not contain the age of its pods. Its own age decides between slices with the same address: it is the same in
 * each run.
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
