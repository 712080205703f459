import { describe, expect, test } from 'vitest';
import { ClusterIds } from '../../../src/kvstoremesh/remote/cluster-ids.ts';

const own = { name: 'harbor', id: 200, maxConnectedClusters: 255 };

describe('cluster IDs', () => {
  test.each([
    [0, /cluster ID 0 is reserved.*set --cluster-id of cluster berlin/],
    [200, /cluster ID 200 is in use by the local cluster harbor; change the --cluster-id of one of the two clusters/],
    [256, /cluster ID 256 is not supported; allowed: 1 to 255; set --cluster-id of cluster berlin/],
  ])('refuse %i with the reason and the remedy', (id, message) => {
    expect(new ClusterIds(own, false).reserve('berlin', id)).toMatch(message);
  });

  test('stay with their first holder until it is gone', () => {
    const ids = new ClusterIds(own, false);
    expect(ids.reserve('berlin', 7)).toBeUndefined();
    expect(ids.reserve('berlin', 7)).toBeUndefined();
    expect(ids.reserve('oslo', 7)).toMatch(/cluster ID 7 is in use by cluster berlin/);
    ids.release('berlin');
    expect(ids.reserve('oslo', 7)).toBeUndefined();
    expect(ids.reserve('berlin', 7)).toMatch(/in use by cluster oslo/);
  });

  test('can be changed; the old one is free then, and is kept where the new one is refused', () => {
    const ids = new ClusterIds(own, false);
    ids.reserve('berlin', 7);
    ids.reserve('oslo', 8);
    expect(ids.reserve('berlin', 8)).toMatch(/in use by cluster oslo/);
    expect(ids.reserve('rome', 7)).toMatch(/in use by cluster berlin/);
    expect(ids.reserve('berlin', 9)).toBeUndefined();
    expect(ids.reserve('rome', 7)).toBeUndefined();
  });

  test('are all taken where conflicts are allowed', () => {
    const ids = new ClusterIds(own, true);
    for (const id of [0, 200, 7, 7, 900]) expect(ids.reserve(`c${id}`, id)).toBeUndefined();
  });
});
