/** Pods of a cluster by their labels. */
import { type JsonRecord, recordOf } from '../shared/kubernetes/objects/json.ts';
import { recordsOf } from './addresses.ts';
import type { Cluster } from './cluster.ts';

/** The selector of the Pods with the daemons, in both charts. */
export const MESH_PODS = 'k8s-app=clustermesh-apiserver';

/** Pods of one kind that are read; Kubernetes supports 5,000 nodes. */
const MAX_PODS = 10_000;
const PODS_PER_PAGE = 250;

/** Those that run, page by page. Throws ClusterAccessError. */
export async function podsOf(cluster: Cluster, selector: string): Promise<readonly JsonRecord[]> {
  const pods: JsonRecord[] = [];
  let next: unknown = '';
  do {
    const query = new URLSearchParams({ labelSelector: selector, limit: String(PODS_PER_PAGE), continue: String(next) });
    const page = await cluster.get(`${cluster.collection('pods')}?${query}`, 'pods');
    pods.push(...recordsOf(page?.items).filter(isRunning));
    next = recordOf(page?.metadata).continue ?? '';
  } while (next !== '' && pods.length < MAX_PODS);
  return pods;
}

function isRunning({ status, metadata }: JsonRecord): boolean {
  return recordOf(status).phase === 'Running' && recordOf(metadata).deletionTimestamp === undefined;
}
