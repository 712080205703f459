import { expect, test } from 'vitest';
import { clusterNameProblem, parseClusterInfo } from '../../src/shared/cluster-info.ts';

const flags = (clusterName: string, clusterId: number, maxConnectedClusters = 255) => ({
  clusterName,
  clusterId,
  maxConnectedClusters,
});

test.each([
  [flags('east', 1)],
  [flags('east', 255)],
  [flags('east', 511, 511)],
  [flags('a', 1)],
  [flags('0-9', 1)],
  [flags('x'.repeat(32), 1)],
])('%j is accepted', (given) => {
  expect(parseClusterInfo(given)).toEqual({
    name: given.clusterName,
    id: given.clusterId,
    maxConnectedClusters: given.maxConnectedClusters,
  });
});

test.each([
  [flags('east', 0), /^flag --cluster-id: cluster ID 0 is reserved; allowed: 1 to 255$/],
  [flags('east', 256), /^flag --cluster-id: cluster ID 256 is not supported; allowed: 1 to 255 \(511 with/],
  [flags('east', 512, 511), /^flag --cluster-id: cluster ID 512 is not supported; allowed: 1 to 511$/],
  [flags('east', 1, 300), /^flag --max-connected-clusters: 300 is not supported; allowed: 255 or 511$/],
  [flags('default', 1), /^flag --cluster-name: "default" is reserved for clusters without an ID/],
  [flags('Bad_Name', 1), /^flag --cluster-name: "Bad_Name": a cluster name consists of a-z/],
  [flags('-east', 1), /consists of/],
  [flags('east-', 1), /consists of/],
  [flags('', 1), /must not be empty/],
  [flags('x'.repeat(33), 1), /at most 32 characters, this one has 33$/],
])('%j is refused', (given, message) => {
  expect(() => parseClusterInfo(given)).toThrow(message);
});

test('a name with a line break at its end is no name', () => {
  expect(clusterNameProblem('east\n')).toBeDefined();
});
