/**
 * When the daemon may call itself ready: agents that start against it then find what they need.
 *
 * Counted are the clusters that were configured at the start. A cluster that cannot be reached, or does not
 * say what it is, delays for a short time only; one that is being loaded delays until its last canary is
 * written, or until nobody should wait any longer.
 */
export interface ClusterProgress {
  /** Monotonic milliseconds. */
  readonly createdMs: number;
  /** The cluster was accepted and its first load has begun. */
  readonly hasBegun: boolean;
  /** Every canary of the cluster is written. */
  readonly isSynced: boolean;
  /** The cluster is not configured any more. */
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
    ({ createdMs, hasBegun, isSynced, isRemoved }) =>
      isRemoved || isSynced || (!hasBegun && nowMs - createdMs >= limits.perClusterMs),
  );
}
