/** The Pod whose kvstoremesh mirrors the remote clusters at the moment. */
import { type JsonRecord, recordOf } from '../../shared/kubernetes/objects/json.ts';
import { recordsOf } from '../addresses.ts';
import type { Cluster } from '../cluster.ts';
import { PodMissingError } from '../errors.ts';
import { MESH_PODS, podsOf } from '../pods.ts';
import { KVSTOREMESH, readPod } from '../status/metrics.ts';

/** A Deployment has a few replicas. */
const MAX_REPLICAS = 16;

export interface LeaderPod {
  readonly pod: string;
  readonly container: JsonRecord;
}

/** The leader, or the first Pod where no metrics name one. Throws ClusterAccessError, or PodMissingError where none runs. */
export async function leaderPod(cluster: Cluster): Promise<LeaderPod> {
  const pods = (await podsOf(cluster, MESH_PODS)).slice(0, MAX_REPLICAS);
  const found = pods.flatMap((pod) => {
    const container = recordsOf(recordOf(pod.spec).containers).find(({ name }) => name === KVSTOREMESH.container);
    return container === undefined ? [] : [{ pod, container }];
  });
  if (found.length === 0) {
    throw new PodMissingError(
      `context ${cluster.context}: no running Pod of clustermesh-apiserver with kvstoremesh in namespace ${cluster.namespace}; ` +
        `see 'kubectl --context ${cluster.context} -n ${cluster.namespace} get pods -l ${MESH_PODS}'`,
    );
  }
  const states = found.length === 1 ? [] : await Promise.all(found.map(({ pod }) => readPod(cluster, pod, KVSTOREMESH)));
  const leading = states.findIndex((state) => 'isLeader' in state && state.isLeader === true);
  const { pod, container } = found[Math.max(0, leading)] as (typeof found)[number];
  return { pod: String(recordOf(pod.metadata).name), container };
}
