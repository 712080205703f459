/** CiliumEndpoint → its pod, whose addresses are exported. */
import type { CiliumEndpoint } from '../../shared/kubernetes/objects/types.ts';
import { lowBits } from './conversion.ts';
import { addressesOf, createdMsOf, type Pods } from './pods.ts';

/** Without an identity the addresses of the pod are exported with the number 0. */
export function podsOfEndpoint({ metadata, status = {} }: CiliumEndpoint): Pods {
  const pod = {
    name: metadata.name,
    addresses: addressesOf(status.networking?.addressing),
    nodeAddress: status.networking?.node ?? '',
    identity: lowBits(status.identity?.id ?? 0, 32),
    encryptionKey: lowBits(status.encryption?.key ?? 0, 8),
    serviceAccount: status['service-account'] ?? '',
    namedPorts: status['named-ports'] ?? null,
  };
  return { namespace: metadata.namespace ?? '', createdMs: createdMsOf(metadata), pods: [pod] };
}
