/**
 * What the controllers and the agents of a real cluster do when a pod is deleted: its endpoint goes, and with it the
 * backend of its service.
 */

import type { Resource } from '../../../src/shared/kubernetes/objects/resources.ts';
import { watchEvents } from '../../../src/shared/kubernetes/reflector/watch-stream.ts';
import { systemClock } from '../../../src/shared/time/clock.ts';
import type { KubernetesClient, Manifest } from './kubernetes-client.ts';
import { NAMESPACE } from './manifests.ts';
import type { Workload } from './workload.ts';

const PODS: Resource = { kind: 'Pod', group: '', version: 'v1', plural: 'pods' };

/** Runs until the signal is aborted, then resolves. Rejects where Kubernetes refuses a request. */
export async function runPodController({ connection }: KubernetesClient, workload: Workload, signal: AbortSignal): Promise<void> {
  const watch = { connection, resource: PODS, resourceVersion: '', sendInitialEvents: false, clock: systemClock, signal };
  try {
    while (!signal.aborted) {
      for await (const { type, object } of watchEvents({ ...watch, onOpen: () => undefined })) {
        const { name, namespace } = (object as Manifest).metadata;
        if (type === 'DELETED' && namespace === NAMESPACE) await workload.lostPod(name)?.();
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
