import { describe, expect, test } from 'vitest';
import { type ClusterProgress, isReady } from '../../src/kvstoremesh/readiness.ts';

const LIMITS = { perClusterMs: 15_000, globalMs: 600_000 };
const START = 1_000;
const cluster = (progress: Partial<ClusterProgress> = {}): ClusterProgress => ({
  createdMs: START,
  hasBegun: false,
  isSynced: false,
  isRemoved: false,
  ...progress,
});
const readyAt = (afterMs: number, ...clusters: ClusterProgress[]) => isReady(clusters, LIMITS, START, START + afterMs);

describe('the daemon', () => {
  test('is ready at once where no cluster is configured', () => {
    expect(readyAt(0)).toBe(true);
  });

  test('waits for every cluster', () => {
    const synced = cluster({ hasBegun: true, isSynced: true });
    expect(readyAt(0, synced)).toBe(true);
    expect(readyAt(0, synced, cluster())).toBe(false);
  });

  test('waits for a cluster that cannot be reached only for its time', () => {
    expect(readyAt(14_999, cluster())).toBe(false);
    expect(readyAt(15_000, cluster())).toBe(true);
  });

  test('waits for a cluster that is being loaded until the timeout', () => {
    const loading = cluster({ hasBegun: true });
    expect(readyAt(599_999, loading)).toBe(false);
    expect(readyAt(600_000, loading)).toBe(true);
  });

  test('does not wait for a cluster that was removed', () => {
    expect(readyAt(0, cluster({ isRemoved: true, hasBegun: true }))).toBe(true);
  });
});
