/**
 * Name and ID of the local cluster, and the maximum number of clusters in the mesh.
 *
 * The ID is part of every security identity: 8 or 9 bits of 24, so only 255 and 511 clusters are
 * possible and 0 is reserved.
 */
import { ProgramError } from './errors.ts';
import { MAX_CLUSTER_NAME_LENGTH } from './limits.ts';

export interface ClusterInfo {
  readonly name: string;
  readonly id: number;
  /** 255 or 511. */
  readonly maxConnectedClusters: number;
}

/** A cluster name or ID that cannot be used. */
export class ClusterInfoError extends ProgramError {
  readonly code = 'CLUSTER_INFO_INVALID';
  readonly retriable = false;
}

const CLUSTER_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** The default name of a cluster; a cluster with this name cannot join a mesh. */
const UNNAMED = 'default';

/** What is wrong with `name` as the name of any cluster, undefined where nothing is. */
export function clusterNameProblem(name: string): string | undefined {
  if (name === '') return 'a cluster name must not be empty';
  if (name.length > MAX_CLUSTER_NAME_LENGTH) {
    return `a cluster name has at most ${MAX_CLUSTER_NAME_LENGTH} characters, this one has ${name.length}`;
  }
  if (!CLUSTER_NAME.test(name)) return 'a cluster name consists of a-z, 0-9 and "-", and neither starts nor ends with "-"';
  return undefined;
}

/** What is wrong with `id` as the ID of any cluster of the mesh, undefined where nothing is. */
export function clusterIdProblem(id: number, maxConnectedClusters: number): string | undefined {
  if (id === 0) return `cluster ID 0 is reserved; allowed: 1 to ${maxConnectedClusters}`;
  if (!Number.isInteger(id) || id < 0 || id > maxConnectedClusters) {
    return `cluster ID ${id} is not supported; allowed: 1 to ${maxConnectedClusters}`;
  }
  return undefined;
}

/** The own cluster as the flags name it; throws ClusterInfoError naming the flag. */
export function parseClusterInfo(flags: {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly maxConnectedClusters: number;
}): ClusterInfo {
  const { clusterName: name, clusterId: id, maxConnectedClusters } = flags;
  if (maxConnectedClusters !== 255 && maxConnectedClusters !== 511) {
    throw new ClusterInfoError(`flag --max-connected-clusters: ${maxConnectedClusters} is not supported; allowed: 255 or 511`);
  }
  const nameProblem = clusterNameProblem(name);
  if (nameProblem !== undefined) throw new ClusterInfoError(`flag --cluster-name: ${JSON.stringify(name)}: ${nameProblem}`);
  const idProblem = clusterIdProblem(id, maxConnectedClusters);
  if (idProblem !== undefined) {
    const larger = id > maxConnectedClusters && id <= 511 ? ' (511 with --max-connected-clusters=511 in the whole mesh)' : '';
    throw new ClusterInfoError(`flag --cluster-id: ${idProblem}${larger}`);
  }
  if (name === UNNAMED) {
    throw new ClusterInfoError(`flag --cluster-name: "${UNNAMED}" is reserved for clusters without an ID; set a unique name`);
  }
  return { name, id, maxConnectedClusters };
}
