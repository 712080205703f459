/**
 * When the daemon reports ready: agents that start then find all keys that they need.
 *
 * Only the clusters that were configured at the start count. A cluster that cannot be reached, or has no cluster config,
 * delays readiness for a short time. One that is being loaded delays it until its last canary is written, or until the
 * global timeout.
 */
export interface ClusterProgress {
  /** Monotonic milliseconds. */
  readonly createdMs: number;
  /** The cluster was accepted and its first load has begun. */
  readonly hasBegun: boolean;
  /** Every canary of the cluster is written. */
  readonly isSynced: boolean;
  /** The cluster is no longer configured. */
  readonly isRemoved: boolean;
}

export interface ReadinessLimits {
  readonly perClusterMs: number;
  readonly globalMs: number;
}

/** `startMs`: when the clusters were first listed. Both times are monotonic. */
export function isReady(clusters: readonly ClusterProgress[], limits: ReadinessLimits, startMs: number, nowMs: number): boolean {
  if (nowMs - startMs >= limits.globalMs) return true;
  return clusters.every(
    (cluster) => cluster.isSynced || (!cluster.hasBegun && nowMs - cluster.createdMs >= limits.perClusterMs) || cluster.isRemoved,
  );
}
