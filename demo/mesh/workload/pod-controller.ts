/**
 * What the controllers and the agents of a real cluster do when somebody deletes a pod: its endpoint goes,
 * and with it the backend of its service.
 */
import type { KubernetesClient } from './kubernetes-client.ts';
import { NAMESPACE } from './manifests.ts';
import type { Workload } from './workload.ts';

const PODS = { apiVersion: 'v1', kind: 'Pod', metadata: { name: '', namespace: NAMESPACE } };

/** Runs until the signal is aborted, then resolves. Rejects where Kubernetes refuses a request. */
export async function runPodController(kubernetes: KubernetesClient, workload: Workload, signal: AbortSignal): Promise<void> {
  try {
    while (!signal.aborted) {
      for await (const { type, object } of kubernetes.watch(PODS, signal)) {
        if (type === 'DELETED') await workload.lostPod(object.metadata.name)?.();
      }
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
