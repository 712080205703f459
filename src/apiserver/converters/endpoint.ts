/** CiliumEndpoint → its pod, whose addresses are exported. */
import type { CiliumEndpoint } from '../../shared/kubernetes/objects/types.ts';
import { createdMsOf, type Pods, podOf } from './pods.ts';

/** Whether an object with these labels is selected. */
export type MatchesLabels = (labels: Readonly<Record<string, string>>) => boolean;

/**
 * Without an identity the addresses of the pod are exported with the number 0. With `matches` the labels are judged: the agent copies
 * those of the Pod into the metadata, and copies them again when they change.
 */
export function podsOfEndpoint({ metadata, status = {} }: CiliumEndpoint, matches?: MatchesLabels): Pods {
  const pod = podOf(metadata.name, status.identity?.id, status);
  const pods = { namespace: metadata.namespace ?? '', createdMs: createdMsOf(metadata), pods: [pod] };
  return matches === undefined || !metadata.labels ? pods : { ...pods, isSelected: matches(metadata.labels) };
}
